"""Reading what comes back: a corpus of reports as mail systems write them, forgeries, and arbitrary bytes."""

import logging
from dataclasses import astuple
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentflow.domain.bounces import InboundKind, Verdict
from consentflow.domain.letters import Language
from consentflow.mail import inbound
from consentflow.mail.inbound import LONGEST_MESSAGE, read_inbound
from consentflow.mail.message import Rendered, Sender, freeze

ADDRESS = "b-0123456789abcdef01234567@bounces.vendor.test"
MESSAGE_ID = "<00112233445566778899aabbccddeeff@vendor.test>"
CORPUS = {path.stem: path.read_bytes() for path in (Path(__file__).parent / "inbound").glob("*.eml")}

HARD, SOFT, COMPLAINT, OTHER = InboundKind
FINAL, PENDING = True, False
EXPECTED = {
    "amazon_ses_bounce": Verdict(HARD, "5.1.1", FINAL, ADDRESS),  # it gives mails a Message-ID of its own
    "amazon_ses_complaint": Verdict(COMPLAINT, None, PENDING, ADDRESS, MESSAGE_ID),
    "arf_auth_failure": Verdict(OTHER, None, PENDING, ADDRESS, MESSAGE_ID),
    "arf_not_spam": Verdict(OTHER, None, PENDING, ADDRESS, MESSAGE_ID),
    "arf_opt_out_header_only": Verdict(COMPLAINT, None, PENDING, ADDRESS, MESSAGE_ID),
    "exchange_access_denied": Verdict(HARD, "5.4.1", FINAL, ADDRESS, MESSAGE_ID),
    "exchange_mailbox_full": Verdict(SOFT, "5.2.2", FINAL, ADDRESS, MESSAGE_ID),
    "exchange_message_expired": Verdict(SOFT, "5.4.316", FINAL, ADDRESS, MESSAGE_ID),
    "exchange_online_unknown_user": Verdict(HARD, "5.1.10", FINAL, ADDRESS, MESSAGE_ID),
    "exim_plain_text": Verdict(HARD, None, FINAL, ADDRESS, MESSAGE_ID),
    "exim_plain_text_spam": Verdict(SOFT, None, FINAL, ADDRESS, MESSAGE_ID),
    "exim_unknown_user": Verdict(HARD, "5.0.0", FINAL, ADDRESS, MESSAGE_ID),
    "exim_warning": Verdict(SOFT, None, PENDING, ADDRESS),
    "forged_lookalike_token": Verdict(HARD, "5.1.1", FINAL),
    "forged_no_token": Verdict(HARD, "5.1.1", FINAL, None, MESSAGE_ID),
    "forged_report_inside": Verdict(OTHER, None, PENDING, ADDRESS),
    "forwarded_to_several": Verdict(OTHER, "2.0.0", PENDING, ADDRESS, MESSAGE_ID),
    "gmail_no_such_user": Verdict(HARD, "5.1.1", FINAL, ADDRESS, MESSAGE_ID),
    "gmail_over_quota": Verdict(SOFT, "4.2.2", PENDING, ADDRESS, MESSAGE_ID),
    "gmail_unauthenticated": Verdict(SOFT, "5.7.26", FINAL, ADDRESS, MESSAGE_ID),
    "human_reply": Verdict(OTHER, None, PENDING, ADDRESS, MESSAGE_ID),
    "icloud_over_quota": Verdict(SOFT, "5.2.2", FINAL, ADDRESS, MESSAGE_ID),
    "opensmtpd_error": Verdict(HARD, "5.1.1", FINAL, ADDRESS, MESSAGE_ID),
    "out_of_office_exchange": Verdict(OTHER, None, PENDING, ADDRESS, MESSAGE_ID),
    "outlook_consumer_unavailable": Verdict(HARD, "5.5.0", FINAL, ADDRESS, MESSAGE_ID),
    "outlook_junk_mail_report": Verdict(COMPLAINT, None, PENDING, ADDRESS, MESSAGE_ID),
    "postfix_bare_550": Verdict(HARD, "5.0.0", FINAL, ADDRESS, MESSAGE_ID),
    "postfix_delayed": Verdict(SOFT, "4.4.1", PENDING, ADDRESS, MESSAGE_ID),
    "postfix_delivered": Verdict(OTHER, "2.0.0", PENDING, ADDRESS, MESSAGE_ID),
    "postfix_expired": Verdict(SOFT, "4.4.1", FINAL, ADDRESS, MESSAGE_ID),
    "postfix_no_such_domain": Verdict(HARD, "5.4.4", FINAL, ADDRESS, MESSAGE_ID),
    "postfix_policy": Verdict(SOFT, "5.7.1", FINAL, ADDRESS, MESSAGE_ID),
    "postfix_smtputf8": Verdict(HARD, "5.6.7", FINAL, ADDRESS, MESSAGE_ID),
    "postfix_unknown_user": Verdict(HARD, "5.1.1", FINAL, ADDRESS, MESSAGE_ID),
    "qmail_no_mailbox": Verdict(HARD, "5.1.1", FINAL, ADDRESS, MESSAGE_ID),
    "qmail_remote_policy": Verdict(SOFT, "5.7.1", FINAL, ADDRESS, MESSAGE_ID),
    "read_receipt": Verdict(OTHER, None, PENDING, ADDRESS),
    "sendmail_unknown_user": Verdict(HARD, "5.1.1", FINAL, ADDRESS, MESSAGE_ID),
    "several_recipients_one_ours": Verdict(HARD, "5.1.1", FINAL, ADDRESS, MESSAGE_ID),
    "smtpsvc_text": Verdict(SOFT, None, FINAL, ADDRESS, MESSAGE_ID),  # it gives no reason
    "truncated_before_report": Verdict(OTHER, None, PENDING, ADDRESS),
    "truncated_in_report": Verdict(HARD, "5.1.1", FINAL, ADDRESS),
    "vacation_reply": Verdict(OTHER, None, PENDING, ADDRESS, MESSAGE_ID),
    "yahoo_feedback_loop": Verdict(COMPLAINT, None, PENDING, ADDRESS, MESSAGE_ID),
}


def test_every_mail_of_the_corpus_is_in_the_table() -> None:
    assert sorted(CORPUS) == sorted(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_a_mail_means_what_the_table_says(name: str, line_end: bytes) -> None:
    assert read_inbound(CORPUS[name].replace(b"\n", line_end)) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_verdict_holds_nothing_about_a_person(name: str) -> None:
    verdict = read_inbound(CORPUS[name])

    told = " ".join(map(str, astuple(verdict)))
    assert "lead.test" not in told
    assert "jane" not in told.lower()
    assert ADDRESS not in repr(verdict)


def report(*blocks: str, about: str = f"Message-ID: {MESSAGE_ID}\nTo: <jane@lead.test>\n", to: str = ADDRESS) -> bytes:
    """A delivery status notification that is as small as they get."""
    status = "\n\n".join(["Reporting-MTA: dns; mx.lead.test", *blocks])
    return (
        f"From: MAILER-DAEMON@mx.lead.test\nTo: {to}\n"
        "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
        f"--b\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\n{status}\n\n"
        f"--b\nContent-Type: text/rfc822-headers\n\n{about}\n--b--\n"
    ).encode()


def block(action: str, status: str, words: str = "", recipient: str = "jane@lead.test") -> str:
    return f"Final-Recipient: rfc822; {recipient}\nAction: {action}\nStatus: {status}\nDiagnostic-Code: smtp; {words}"


@pytest.mark.parametrize(
    ("action", "status", "words", "kind", "final"),
    [
        # What the status says.
        ("failed", "5.1.1", "", HARD, FINAL),
        ("failed", "5.1.2", "", HARD, FINAL),
        ("failed", "5.1.6", "550 moved away", HARD, FINAL),
        ("failed", "5.1.10", "", HARD, FINAL),
        ("failed", "5.2.1", "", HARD, FINAL),
        ("failed", "5.4.310", "550 DNS domain does not exist", HARD, FINAL),
        ("failed", "5.6.9", "", HARD, FINAL),
        ("Failed", "5.1.1 (bad destination mailbox)", "", HARD, FINAL),
        ("failed (bounced)", "5.1.1", "", HARD, FINAL),
        ("", "5.1.1", "", HARD, FINAL),
        ("failed", "5.1.8", "550 your domain does not exist", SOFT, FINAL),
        ("failed", "5.1.7", "", SOFT, FINAL),
        ("failed", "5.1.90", "550 daily limit", SOFT, FINAL),
        ("failed", "5.2.2", "552 user unknown or full", SOFT, FINAL),
        ("failed", "5.2.3", "", SOFT, FINAL),
        ("failed", "5.3.4", "552 too big", SOFT, FINAL),
        ("failed", "5.4.6", "554 too many hops", SOFT, FINAL),
        ("failed", "5.4.7", "", SOFT, FINAL),
        ("failed", "5.5.1", "", SOFT, FINAL),
        ("failed", "5.6.1", "", SOFT, FINAL),
        ("failed", "4.4.7", "", SOFT, FINAL),
        ("failed", "4.2.2", "", SOFT, FINAL),
        ("failed", "2.0.0", "", SOFT, FINAL),
        ("delayed", "4.4.1", "", SOFT, PENDING),
        ("delayed", "5.1.1", "550 user unknown", SOFT, PENDING),
        ("", "4.4.1", "", SOFT, PENDING),
        ("delivered", "2.1.5", "", OTHER, PENDING),
        ("relayed", "2.0.0", "", OTHER, PENDING),
        ("expanded", "2.0.0", "", OTHER, PENDING),
        ("unheard-of", "5.1.1", "", OTHER, PENDING),
        # Where it says nothing, the words do.
        ("failed", "5.0.0", "550 5.1.1 who?", HARD, FINAL),
        ("failed", "5.0.0", "550 5.7.1 User unknown, or so", SOFT, FINAL),
        ("failed", "5.0.0", "550 who?", HARD, FINAL),
        ("failed", "5.0.0", "550-first line 550 second", HARD, FINAL),
        ("failed", "5.0.0", "554 who?", SOFT, FINAL),
        ("failed", "5.0.0", "550 looks like spam", SOFT, FINAL),
        ("failed", "5.0.0", "550 sender rejected", SOFT, FINAL),
        ("failed", "5.0.0", "550 mailbox is full", SOFT, FINAL),
        ("failed", "5.0.0", "x-unix; user unknown", HARD, FINAL),
        ("failed", "5.0.0", "", SOFT, FINAL),
        ("failed", "5.3.0", "550 No such user", HARD, FINAL),
        ("failed", "5.1.0", "550 address rejected", HARD, FINAL),
        ("failed", "5.1.0", "550 sender rejected", SOFT, FINAL),
        ("failed", "5.2.0", "554 mailbox trouble", SOFT, FINAL),
        ("failed", "none", "550 5.1.1 who?", HARD, FINAL),
        ("failed", "none", "mail from 5.1.1.7 refused", SOFT, FINAL),
        ("failed", "5.9.1", "", SOFT, FINAL),
    ],
)
def test_a_status_is_blamed_on_the_mailbox_only_if_it_is_about_the_mailbox(
    action: str, status: str, words: str, kind: InboundKind, final: bool
) -> None:
    verdict = read_inbound(report(block(action, status, words)))

    assert (verdict.kind, verdict.final) == (kind, final)


@pytest.mark.parametrize("minor", range(31))
def test_a_matter_of_policy_never_falls_on_the_recipient(minor: int) -> None:
    verdict = read_inbound(report(block("failed", f"5.7.{minor}", "550 user unknown")))

    assert verdict == Verdict(SOFT, f"5.7.{minor}", FINAL, ADDRESS, MESSAGE_ID)


HARD_BLOCK = block("failed", "5.1.1")


@pytest.mark.parametrize(
    ("blocks", "kind"),
    [
        ((HARD_BLOCK, block("delivered", "2.0.0", recipient="other@lead.test")), HARD),
        ((block("delivered", "2.0.0"), block("failed", "5.1.1", recipient="other@lead.test")), OTHER),
        ((HARD_BLOCK, block("failed", "5.2.2")), SOFT),
        ((block("failed", "5.1.1", recipient="a@x.test"), block("failed", "5.1.1", recipient="b@x.test")), HARD),
        ((block("failed", "5.1.1", recipient="a@x.test"), block("failed", "5.2.2", recipient="b@x.test")), SOFT),
        ((block("failed", "5.2.2", recipient="a@x.test"), block("delayed", "4.4.1", recipient="b@x.test")), SOFT),
        ((block("failed", "5.1.1", recipient="a@x.test"), block("expanded", "2.0.0", recipient="b@x.test")), OTHER),
        (("Action: failed",), SOFT),
        ((), OTHER),
    ],
)
def test_of_several_recipients_ours_counts_else_the_mildest(blocks: tuple[str, ...], kind: InboundKind) -> None:
    assert read_inbound(report(*blocks)).kind is kind


def feedback(kind: str, mail_from: str = f"Original-Mail-From: <{ADDRESS}>\n") -> bytes:
    return (
        "From: fbl@portal.example\nTo: fbl@vendor.test\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n"
        f"--b\nContent-Type: message/feedback-report\n\nFeedback-Type: {kind}\nUser-Agent: x/1\n{mail_from}\n--b--\n"
    ).encode()


@pytest.mark.parametrize(
    ("feedback_type", "kind"),
    [
        ("abuse", COMPLAINT),
        ("Abuse", COMPLAINT),
        ("fraud", COMPLAINT),
        ("opt-out", COMPLAINT),
        ("opt-out-list", COMPLAINT),
        ("not-spam", OTHER),
        ("virus", OTHER),
        ("other", OTHER),
        ("auth-failure", OTHER),
        ("", OTHER),
    ],
)
def test_a_complaint_is_what_a_person_says(feedback_type: str, kind: InboundKind) -> None:
    assert read_inbound(feedback(feedback_type)) == Verdict(kind, bounce_address=ADDRESS)


def test_a_complaint_without_our_address_names_no_mail() -> None:
    assert read_inbound(feedback("abuse", "Original-Mail-From: <someone@vendor.test>\n")) == Verdict(COMPLAINT)


def frozen_mail() -> tuple[bytes, str, str]:
    mail = freeze(
        Rendered("Ihre Daten", "Guten Tag\n", "<p>Guten Tag</p>\n", "0" * 64),
        sender=Sender("Vendor", "privacy@vendor.test", None, "bounces.vendor.test", "vendor.test"),
        recipient="jane@lead.test",
        recipient_name="Jane <Doe>",
        key="some key",
        language=Language.GERMAN,
        written_at=datetime(2026, 11, 22, tzinfo=UTC),
        unsubscribe_url=None,
    )
    return mail.content, mail.envelope_from, mail.message_id


def test_a_returned_mail_is_known_by_what_it_was_frozen_with() -> None:
    content, envelope_from, message_id = frozen_mail()
    returned = report(
        block("delivered", "2.0.0", recipient="x@lead.test"),
        HARD_BLOCK,
        about=content.decode().replace("\r\n", "\n"),
        to=envelope_from,
    )

    assert read_inbound(returned) == Verdict(HARD, "5.1.1", FINAL, envelope_from, message_id)


@pytest.mark.parametrize(
    ("fields", "envelope_to", "address"),
    [
        ("To: x@vendor.test", ADDRESS, ADDRESS),
        ("To: x@vendor.test", ADDRESS.upper(), ADDRESS),
        ("To: x@vendor.test", f"<{ADDRESS}>", ADDRESS),
        (f"To: {ADDRESS}", "b-ffffffffffffffffffffffff@bounces.vendor.test", f"b-{'f' * 24}@bounces.vendor.test"),
        (f"To: {ADDRESS}", "fbl@vendor.test", ADDRESS),
        (f"Delivered-To: all@vendor.test\nX-Original-To: {ADDRESS}\nTo: b-{'f' * 24}@x.test", None, ADDRESS),
        (f"Envelope-To: {ADDRESS}", None, ADDRESS),
        (f"To: prvs=1234567890={ADDRESS}", None, ADDRESS),
        (f"To:\n {ADDRESS}", None, ADDRESS),
        (f"Subject: {ADDRESS}\nFrom: {ADDRESS}\nMessage-ID: {ADDRESS}", None, None),
        (f"To: x{ADDRESS}", None, None),
        (f"To: {ADDRESS.replace('@', 'f@')}", None, None),
        (f"To: {ADDRESS.replace('-', '')}", None, None),
        ("To: b-0123456789abcdef01234567@", None, None),
    ],
)
def test_the_bounce_address_is_taken_from_the_envelope_first(
    fields: str, envelope_to: str | None, address: str | None
) -> None:
    assert read_inbound(f"{fields}\n\ntext\n".encode(), envelope_to=envelope_to).bounce_address == address


def test_a_message_id_that_is_not_of_our_form_is_left_where_it_is() -> None:
    assert read_inbound(report(HARD_BLOCK, about="Message-ID: <jane.doe.1976@lead.test>\n")).message_id is None


def test_a_claim_about_another_mail_shows_both_names_so_that_they_can_be_compared() -> None:
    other = f"<{'f' * 32}@vendor.test>"

    verdict = read_inbound(report(HARD_BLOCK, about=f"Message-ID: {other}\n"))

    assert (verdict.bounce_address, verdict.message_id) == (ADDRESS, other)


def test_the_returned_mail_says_which_it_was_before_anything_that_a_reply_quotes() -> None:
    raw = b"In-Reply-To: <%b@vendor.test>\n" % (b"f" * 32) + report(HARD_BLOCK)

    assert read_inbound(raw).message_id == MESSAGE_ID


@pytest.mark.parametrize(
    "sender",
    ["Jane <jane@lead.test>", "mailer@lead.test", "Jane Daemon <jane@lead.test>", "notpostmaster1@lead.test", ""],
)
def test_a_persons_words_are_no_bounce(sender: str) -> None:
    words = CORPUS["qmail_no_mailbox"].replace(b"From: MAILER-DAEMON@mx.lead.test", f"From: {sender}".encode())

    assert read_inbound(words).kind is OTHER


def test_nothing_of_a_mail_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        for raw in CORPUS.values():
            read_inbound(raw)

    assert caplog.records == []


def test_a_guess_that_fails_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_message: object) -> None:
        raise RecursionError

    monkeypatch.setattr(inbound, "all_failures", fail)

    assert read_inbound(CORPUS["qmail_no_mailbox"]).kind is OTHER


NESTED = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(20_000))
HOSTILE = {
    "nothing": b"",
    "an empty line": b"\r\n",
    "no fields": b"\n\n\n" + b"x" * 1000,
    "zeros": bytes(LONGEST_MESSAGE),
    "a field without end": b"Subject: " + b"x" * LONGEST_MESSAGE,
    "a parameter without end": b'Content-Type: multipart/report; a="'
    + b";" * LONGEST_MESSAGE
    + b'"; boundary=b\n\n--b\n',
    "blanks before a boundary": b"Content-Type: multipart/mixed;" + b" " * 60_000 + b"\n\n--b\n",
    "folded without end": b"Content-Type: multipart/mixed;" + b"\n x" * 300_000,
    "many fields": b"To: x\n" * 160_000 + b"\n",
    "parts in parts": NESTED + b"\n" * 100_000,
    "parts in parts of one name": b"Content-Type: multipart/mixed; boundary=b\n\n--b\n" * 20_000,
    "messages in messages": b"Content-Type: message/rfc822\n\n" * 30_000,
    "many parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * 100_000,
    "many empty parts": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n" * 200_000,
    "an endless delimiter": b"Content-Type: multipart/mixed; boundary=b\n\n--b" + b" " * LONGEST_MESSAGE,
    "many recipients": report(*["Action: failed\nStatus: 5.1.1"] * 20_000),
    "many empty lines": report("\n \n" * 100_000),
    "an endless status": report("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: " + "user 5.1." * 7_000),
    "endless words": report("Action: failed\nStatus: 5.0.0\nDiagnostic-Code: " + "invalid " * 8_000),
    "an endless text": b"From: MAILER-DAEMON\n\nYour message\n" + b"a" * LONGEST_MESSAGE,
    "many short lines": b"From: MAILER-DAEMON\n\nDelivery to the following recipients failed\n" + b"a\n" * 500_000,
    "many long words": b"From: MAILER-DAEMON\n\nUnable to deliver message to\n" + b"<a@" * 300_000,
    "brackets in brackets": b"From: MAILER-DAEMON\nX-Failed-Recipients: " + b"(" * 100_000 + b"\n\n",
    "a guesser's parts": b"From: MAILER-DAEMON\n" + NESTED,
    "bad base64": b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n"
    b"Content-Transfer-Encoding: base64\n\nA\n--b--\n",
    "a bounce address without end": b"To: b-0123456789abcdef01234567@" + b"a." * 30_000 + b"\n\n",
    "too long a mail": CORPUS["postfix_unknown_user"] + b"x" * 3 * LONGEST_MESSAGE,
}


@pytest.mark.timeout(30)  # each takes well under a second; one that is not linear takes minutes
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_read_in_bounded_time(name: str) -> None:
    assert_sound(read_inbound(HOSTILE[name]))


def assert_sound(verdict: Verdict) -> None:
    assert verdict.status is None or len(verdict.status) <= len("5.7.999")
    assert verdict.message_id is None or len(verdict.message_id) <= 300
    assert verdict.bounce_address is None or len(verdict.bounce_address) <= 300
    assert verdict.final or verdict.kind is not HARD
    assert verdict.kind in {HARD, SOFT} or not verdict.final


@given(st.binary(max_size=2000), st.none() | st.text(max_size=60))
@settings(deadline=None)
def test_any_bytes_have_a_meaning(raw: bytes, envelope_to: str | None) -> None:
    assert_sound(read_inbound(raw, envelope_to=envelope_to))


PIECES = st.sampled_from(
    [
        b"\n",
        b"\r\n",
        b"\n\n",
        b" ",
        b"--b",
        b"--b--",
        b"(",
        b'"',
        b"<",
        b"\xff\x00",
        b"From: MAILER-DAEMON@x.test\n",
        b"X-Failed-Recipients: a@x.test\n",
        b"To: b-0123456789abcdef01234567@x.test\n",
        b"Content-Type: multipart/report; boundary=b\n",
        b"Content-Type: message/delivery-status\n",
        b"Content-Type: message/feedback-report\n",
        b"Content-Type: message/rfc822\n",
        b"Content-Type: text/plain; charset=nonsense\n",
        b"Content-Transfer-Encoding: base64\n",
        b"Content-Transfer-Encoding: quoted-printable\n",
        b"Action: failed\n",
        b"Status: 5.1.1\n",
        b"Final-Recipient: rfc822; a@x.test\n",
        b"Feedback-Type: abuse\n",
        b"Hi. This is the qmail-send program at\n",
        b"<a@x.test>:\n",
        b"550 5.1.1 user unknown\n",
    ]
)


@given(st.lists(PIECES, max_size=40))
@settings(deadline=None, max_examples=300)
def test_any_pieces_of_reports_have_a_meaning(pieces: list[bytes]) -> None:
    assert_sound(read_inbound(b"".join(pieces)))


@given(st.sampled_from(sorted(CORPUS)), st.data())
@settings(deadline=None, max_examples=300)
def test_a_damaged_report_has_a_meaning(name: str, data: st.DataObject) -> None:
    raw = CORPUS[name]
    start = data.draw(st.integers(0, len(raw)), "start")
    end = data.draw(st.integers(start, min(len(raw), start + 200)), "end")
    damage = data.draw(st.binary(max_size=20), "damage")

    assert_sound(read_inbound(raw[:start] + damage + raw[end:]))
    assert_sound(read_inbound(raw[:start]))
