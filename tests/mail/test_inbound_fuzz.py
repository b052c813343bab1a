"""Whatever comes to a bounce address: reading it never raises, takes time in proportion, and makes nothing up."""

from collections.abc import Callable
from itertools import product
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consentflow.domain.bounces import InboundKind, Verdict
from consentflow.mail.inbound import LONGEST_MESSAGE, read_inbound
from tests.fuzzing import some
from tests.mail.test_inbound import ADDRESS, CORPUS, HOSTILE

ENCODED = (b"base64", b"quoted-printable")
Lines = list[bytes]


def assert_made_of(raw: bytes, verdict: Verdict, envelope_to: str | None = None) -> None:
    """What a verdict names stands in the message, and only a statement about the mailbox is final and hard."""
    seen = raw.decode("latin-1").lower() + (envelope_to or "").lower()
    if not any(encoding in raw.lower() for encoding in ENCODED):  # else it may stand there in another form
        assert (verdict.bounce_address or "") in seen
        assert (verdict.message_id or "") in seen.replace("\r\n", "\n")
        assert (verdict.status or "") in seen
    assert verdict.final or verdict.kind is not InboundKind.HARD_BOUNCE


@given(st.binary(max_size=4000), st.none() | st.text(max_size=80))
@example(b"To: " + ADDRESS.encode(), None)
@example(b"", ADDRESS)
@some(200)
def test_any_bytes_are_read_and_nothing_is_made_up(raw: bytes, envelope_to: str | None) -> None:
    assert_made_of(raw, read_inbound(raw, envelope_to=envelope_to), envelope_to)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A report of the corpus with lines lost, repeated, moved, mixed with another's, folded, cut or broken."""
    lines = CORPUS[draw(st.sampled_from(sorted(CORPUS)))].split(b"\n")
    other = CORPUS[draw(st.sampled_from(sorted(CORPUS)))].split(b"\n")

    def somewhere() -> int:
        return draw(st.integers(0, max(0, len(lines) - 1)))

    def mix() -> Lines:
        start = draw(st.integers(0, len(other) - 1))
        at = somewhere()
        return [*lines[:at], *other[start : start + draw(st.integers(1, 20))], *lines[at:]]

    def break_line() -> Lines:
        at = somewhere()
        line = lines[at] if lines else b""
        cut = draw(st.integers(0, len(line)))
        return [*lines[:at], line[:cut] + draw(st.binary(max_size=8)) + line[cut:], *lines[at + 1 :]]

    def swap() -> Lines:
        here, there = somewhere(), somewhere()
        moved = list(lines)
        if moved:
            moved[here], moved[there] = moved[there], moved[here]
        return moved

    def repeat() -> Lines:
        at = somewhere()
        return lines[:at] + lines[at : at + 3] * draw(st.integers(2, 50)) + lines[at + 3 :]

    def lose() -> Lines:
        at = somewhere()
        return lines[:at] + lines[at + draw(st.integers(1, 5)) :]

    def fold() -> Lines:
        at = somewhere()
        return [*lines[:at], *(b" " + line for line in lines[at : at + 2]), *lines[at + 2 :]]

    changes: list[Callable[[], Lines]] = [mix, break_line, swap, repeat, lose, fold]
    for change in draw(st.lists(st.sampled_from(changes), min_size=1, max_size=6)):
        lines = change()
    raw = draw(st.sampled_from([b"\n", b"\r\n"])).join(lines)
    return raw[: draw(st.sampled_from([len(raw), len(raw) // 2]))]


@given(mutated())
@some(400)
def test_any_changed_report_is_read_and_nothing_is_made_up(raw: bytes) -> None:
    assert_made_of(raw, read_inbound(raw))


@given(mutated(), st.text("0123456789abcdef", min_size=24, max_size=24))
@some(150)
def test_no_other_address_comes_out_than_went_in(raw: bytes, token: str) -> None:
    other = f"b-{token}@bounces.vendor.test"
    swapped = raw.replace(ADDRESS.encode(), other.encode())

    verdict = read_inbound(swapped)

    assert verdict.bounce_address in {None, other} or verdict.bounce_address.encode() in raw.lower()
    assert (verdict.bounce_address != ADDRESS) or ADDRESS.encode() in swapped.lower()


def seconds(raw: bytes) -> float:
    """The processor's time, the best of a few tries, since others use the machine too."""

    def once() -> float:
        start = process_time()
        read_inbound(raw)
        return process_time() - start

    return min(once() for _ in range(3))


LONG = [each for each in HOSTILE if len(HOSTILE[each]) > LONGEST_MESSAGE // 4]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", LONG)
def test_a_message_of_four_times_the_length_takes_about_four_times_as_long(name: str) -> None:
    raw = HOSTILE[name][:LONGEST_MESSAGE]
    quarter = seconds(raw[: len(raw) // 4])
    assert seconds(raw) < 16 * max(quarter, 0.01)  # twice the square would be 32; a floor for what is too quick to tell


PIECES = [b"a", b" ", b"\n", b";", b"(", b"<", b'"', b"--b\n", b"Status: 5.", b"user ", b"=?", b":", b"\n ", b"b-0@"]
HEADS = [
    b"",
    b"Subject: ",
    b"Content-Type: multipart/report; boundary=b\n\n",
    b"From: MAILER-DAEMON\n\n",
    b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n",
]


@pytest.mark.timeout(120)  # takes seconds; one piece that is not linear takes minutes
@pytest.mark.parametrize("head", HEADS, ids=range(len(HEADS)))
def test_no_repeated_piece_keeps_the_reader_busy(head: bytes) -> None:
    for first, second in product(PIECES, repeat=2):
        piece = first + second
        read_inbound(head + piece * (60_000 // len(piece)))
