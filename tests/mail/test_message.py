"""Freezing a mail: the same bytes every time, and nobody's text becomes a header."""

import email
import hashlib
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import SMTPUTF8, default
from email.utils import getaddresses

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consentflow.domain.errors import InvalidInput
from consentflow.domain.letters import FrozenMail, Language
from consentflow.mail.message import LONGEST_TEXT, LONGEST_URL, Rendered, Sender, freeze, require_address

URL = "https://consent.example.test/u/AAAAAAAAAAAAAAAAAAAAAA"
SENDER = Sender(
    name="Müller & Söhne, Ltd.",
    address="privacy@vendor.test",
    reply_to="office@vendor.test",
    bounce_domain="bounces.vendor.test",
    message_id_domain="vendor.test",
)
RENDERED = Rendered(subject="Ihre Daten", text="Guten Tag,\n\nGrüße\n", html="<p>Grüße</p>\n", text_version="0" * 64)
HEADERS = [
    "Auto-Submitted",
    "Content-Language",
    "Content-Type",
    "Date",
    "From",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "MIME-Version",
    "Message-ID",
    "Reply-To",
    "Subject",
    "To",
]
CVE_2024_6923 = "=?utf-8?q?a=0D=0ABcc:_x@y.de?="


def frozen(
    rendered: Rendered = RENDERED,
    *,
    sender: Sender = SENDER,
    recipient: str = "jane.doe@lead.test",
    recipient_name: str | None = "Jane Doe",
    key: str = "registration/1/double_opt_in",
    language: Language = Language.GERMAN,
    written_at: datetime = datetime(2026, 11, 22, 4, 32, 1, 987654, tzinfo=UTC),
    unsubscribe_url: str | None = URL,
) -> FrozenMail:
    return freeze(
        rendered,
        sender=sender,
        recipient=recipient,
        recipient_name=recipient_name,
        key=key,
        language=language,
        written_at=written_at,
        unsubscribe_url=unsubscribe_url,
    )


def with_subject(subject: str) -> Rendered:
    return Rendered(subject=subject, text="text", html="<p>html</p>", text_version="0" * 64)


def with_texts(text: str, html: str) -> Rendered:
    return Rendered(subject="subject", text=text, html=html, text_version="0" * 64)


def read(mail: FrozenMail) -> EmailMessage:
    return email.message_from_bytes(mail.content, policy=default)


def header(mail: FrozenMail, name: str) -> str:
    """A header's value on one line, undecoded, without the help of the email package."""
    head = mail.content.partition(b"\r\n\r\n")[0].decode()
    found = re.findall(rf"(?mi)^{name}: ((?:.|\r\n[ \t])*?)\r?$", head.replace("\r\n ", " "))
    assert len(found) == 1
    return str(found[0])


def mailboxes(value: str) -> list[tuple[str, str]]:
    return [(str(make_header(decode_header(name))), address) for name, address in getaddresses([value])]


def test_freezing_twice_gives_the_same_bytes() -> None:
    assert frozen() == frozen()


def test_it_has_exactly_these_headers() -> None:
    assert sorted(read(frozen()).keys()) == sorted(HEADERS)


def test_what_is_not_asked_for_is_left_out() -> None:
    quiet = Sender("", "privacy@vendor.test", None, None, "vendor.test")

    message = read(frozen(sender=quiet, unsubscribe_url=None, recipient_name=None))

    assert sorted(set(HEADERS) - set(message.keys())) == [
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "Reply-To",
    ]
    assert (message["From"], message["To"]) == ("privacy@vendor.test", "jane.doe@lead.test")


def test_the_headers_say_what_was_given() -> None:
    message = read(frozen())

    assert message["From"] == '"Müller & Söhne, Ltd." <privacy@vendor.test>'
    assert message["To"] == "Jane Doe <jane.doe@lead.test>"
    assert message["Reply-To"] == "office@vendor.test"
    assert message["Subject"] == "Ihre Daten"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "de"
    assert message["MIME-Version"] == "1.0"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_the_date_is_the_instant_it_was_written_at() -> None:
    berlin = timezone(timedelta(hours=1))

    mail = frozen(written_at=datetime(2026, 11, 22, 5, 32, 1, tzinfo=berlin))

    assert header(mail, "Date") == "Sun, 22 Nov 2026 04:32:01 +0000"


def test_an_instant_without_time_zone_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        frozen(written_at=datetime(2026, 11, 22))  # noqa: DTZ001 (the mistake under test)

    assert refused.value.code == "naive_instant"


def test_the_message_id_follows_from_the_key_alone() -> None:
    first, repeat, other = frozen(), frozen(with_subject("another"), recipient="j@x.test"), frozen(key="k2")

    assert first.message_id == header(first, "Message-ID") == repeat.message_id
    assert re.fullmatch(r"<[0-9a-f]{32}@vendor\.test>", first.message_id)
    assert other.message_id != first.message_id


def test_the_bounce_address_is_opaque_and_the_mails_own() -> None:
    first, other = frozen(), frozen(key="k2")

    assert re.fullmatch(r"b-[0-9a-f]{24}@bounces\.vendor\.test", first.envelope_from)
    assert first.envelope_from != other.envelope_from
    token = first.envelope_from[2:26]
    assert token.encode() not in first.content
    assert token not in hashlib.sha256(b"registration/1/double_opt_in").hexdigest()


def test_without_a_bounce_domain_bounces_go_to_the_sender() -> None:
    mail = frozen(sender=Sender("Vendor", "privacy@vendor.test", None, None, "vendor.test"))

    assert mail.envelope_from == "privacy@vendor.test"


def test_the_rest_of_the_record_is_handed_through() -> None:
    mail = frozen(language=Language.FRENCH)

    assert (mail.envelope_to, mail.language, mail.text_version) == (
        "jane.doe@lead.test",
        Language.FRENCH,
        "0" * 64,
    )


def test_plain_text_comes_before_html() -> None:
    message = read(frozen())

    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert {part.get_content_charset() for part in message.iter_parts()} == {"utf-8"}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


@given(text=texts, html=texts)
@example(text="", html="")
@example(text=".\n..\n.x\nFrom me\n-- \n trailing \t\n", html="=\n==\n--=_\n")
@example(text="a\r\nb\rc\nd", html="\x0b\x0c\x1c\x1e\x85\u2028")
@example(text="no break " * 1000, html="ÅÅ…" * 1000)
def test_both_parts_decode_to_what_was_given(text: str, html: str) -> None:
    plain_part, html_part = read(frozen(with_texts(text, html))).iter_parts()

    for part, given_text in ((plain_part, text), (html_part, html)):
        payload = part.get_payload(decode=True)
        assert isinstance(payload, bytes)
        assert payload.decode() == re.sub(r"\r\n|\r|\n", "\r\n", given_text)


@given(text=texts)
@example(text="x" * 5000)
def test_every_line_is_short_ends_in_crlf_and_is_ascii(text: str) -> None:
    content = frozen(with_texts(text, text)).content

    assert content.isascii()
    assert content.endswith(b"\r\n")
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\x00", content)
    assert max(map(len, content.split(b"\r\n"))) <= len("List-Unsubscribe: <>") + LONGEST_URL


def test_a_text_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        frozen(with_texts("\ud800", ""))

    assert refused.value.code == "forbidden_characters"


@pytest.mark.parametrize("length", [30, LONGEST_URL])
def test_the_unsubscribe_link_reads_back_as_it_is_on_one_line(length: int) -> None:
    url = "https://consent.example.test/u/".ljust(length, "a")[:length]

    mail = frozen(unsubscribe_url=url)

    assert f"\r\nList-Unsubscribe: <{url}>\r\n".encode() in mail.content
    assert read(mail)["List-Unsubscribe"] == f"<{url}>"


@pytest.mark.parametrize(
    "url",
    [
        "https://vendor.test/".ljust(LONGEST_URL + 1, "a"),
        "https://vendor.test/a b",
        "https://vendor.test/a>,<mailto:x@y.de",
        "https://vendor.test/a\r\nBcc: x@y.de",
        "https://vendor.test/\n",
        "https://vendor.test/=?utf-8?q?a?=",
        "https://vendor.test/ü",
        "mailto:x@y.de",
        "//vendor.test/",
        "",
    ],
)
def test_a_link_that_could_be_mangled_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        frozen(unsubscribe_url=url)

    assert refused.value.pointer == "/unsubscribe_url"


HOSTILE = [
    CVE_2024_6923,
    f"Jane {CVE_2024_6923}",
    "=?utf-8?b?DQpCY2M6IHhAeS5kZQ==?=",
    "=?",
    "Jane\r\nBcc: x@y.de",
    "Jane\nBcc: x@y.de",
    "Jane\rBcc: x@y.de",
    "Jane\x00Doe",
    "Jane\x0bDoe",
    "Jane\x85Doe",
    "Jane\u2028Bcc: x@y.de",
    "Jane\u2029Doe",
    "\u202eenaJ",
    "Jane\u2066Doe",
    "Jane\u200fDoe",
    "Jane\ud800",
    "x" * (LONGEST_TEXT + 1),
]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("place", ["/recipient_name", "/subject", "/sender/name"])
def test_hostile_names_and_subjects_are_refused_without_being_repeated(text: str, place: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        frozen(
            with_subject(text if place == "/subject" else "subject"),
            recipient_name=text if place == "/recipient_name" else "Jane",
            sender=replace(SENDER, name=text if place == "/sender/name" else "Vendor"),
        )

    assert refused.value.pointer == place
    assert text not in str(refused.value)


def test_a_mail_without_a_subject_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        frozen(with_subject(" "))

    assert refused.value.code == "empty"


NAMES = [
    "Jane Doe",
    "O'Brien-Smith",
    "Doe, Jane <attacker@evil.test>",
    'Jane "Danger" Doe',
    "back\\slash \\",
    '"',
    "Bcc: x@y.de",
    "a@b.de, c@d.de",
    "(comment) Jane",
    "Dr. Jörg Müller-Lüdenscheidt",
    "李小龍",
    "محمد",
    "👩‍👩‍👧 Family",
    "x" * LONGEST_TEXT,
    "é" * LONGEST_TEXT,
    "word " * 90,
    "Doe, Jane <attacker@evil.test> " * 12,
    '"quoted" ' * 40,
]

pieces = st.sampled_from(
    ["=?", "?=", "=?utf-8?q?", "\r\n", "\n", "Bcc: x@y.de", "<x@y.de>", '"', "\\", ",", ";", ":", "(", ")", "@"]
)
anything = st.text(st.characters(), max_size=40)
hostile_names = st.lists(pieces | anything, max_size=12).map("".join)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("recipient", ["jane@lead.test", "jäne@lead.test", f"{'j' * 64}@{'l' * 60}.test"])
def test_an_unusual_name_is_a_name_and_nothing_else(name: str, recipient: str) -> None:
    mail = frozen(recipient_name=name, recipient=recipient)

    assert sorted(read(mail).keys()) == sorted(HEADERS)
    assert mailboxes(header(mail, "To")) == [(" ".join(name.split()), recipient)]


@given(name=hostile_names)
@example(name=CVE_2024_6923)
def test_whatever_the_name_it_adds_no_header_and_no_recipient(name: str) -> None:
    try:
        mail = frozen(recipient_name=name)
    except InvalidInput as refusal:
        assert refusal.pointer == "/recipient_name"  # noqa: PT017 (a refusal is one of two good outcomes)
        return
    message = read(mail)
    assert sorted(message.keys()) == sorted(HEADERS)
    assert not message.defects
    assert [address.addr_spec for address in message["To"].addresses] == ["jane.doe@lead.test"]
    assert mail.content.split(b"\r\n\r\n")[0].count(b"\r\nTo:") == 1


@given(subject=hostile_names)
@example(subject=CVE_2024_6923)
def test_whatever_the_subject_it_adds_no_header(subject: str) -> None:
    try:
        mail = frozen(with_subject(subject))
    except InvalidInput as refusal:
        assert refusal.pointer == "/subject"  # noqa: PT017 (a refusal is one of two good outcomes)
        return
    message = read(mail)
    assert sorted(message.keys()) == sorted(HEADERS)
    assert str(make_header(decode_header(header(mail, "Subject")))).split() == subject.split() or (
        not subject.isascii()  # normalised to NFC
    )


@pytest.mark.parametrize(
    "subject",
    [
        "Ihre Daten bei uns",
        "Bitte bestätigen Sie: dürfen wir Ihnen schreiben?",
        "A rather long subject in plain ASCII that needs more than the one line that it would have",
        "Größe " * 60,
        "x" * 300,
    ],
)
def test_a_subject_reads_back_on_folded_lines_of_at_most_76(subject: str) -> None:
    mail = frozen(with_subject(subject))

    assert str(make_header(decode_header(header(mail, "Subject")))) == " ".join(subject.split())
    lines = mail.content.partition(b"\r\nSubject:")[2].partition(b"\r\nDate:")[0].split(b"\r\n")
    assert max(len(line) for line in lines) <= 76


def test_only_a_non_ascii_local_part_makes_the_headers_utf8() -> None:
    ascii_mail = frozen(with_subject("Größe"), recipient_name="Jörg")
    utf8_mail = frozen(with_subject("Größe"), recipient_name="Jörg", recipient="jörg@lead.test")

    assert ascii_mail.content.isascii()
    assert '\r\nTo: "Jörg" <jörg@lead.test>\r\nSubject: Größe\r\n'.encode() in utf8_mail.content
    assert utf8_mail.content.partition(b"\r\n\r\n")[2].isascii()
    reread = email.message_from_bytes(utf8_mail.content, policy=SMTPUTF8)
    assert (str(reread["To"]), str(reread["Subject"])) == ("Jörg <jörg@lead.test>", "Größe")


@pytest.mark.parametrize(
    "address",
    [
        "jane@lead.test",
        "jane+tag.x@lead.test",
        "o'brien@lead.test",
        "用户@xn--fsqu00a.test",
        "jörg@lead.test",
        "root@localhost",
        f"{'j' * 64}@lead.test",
    ],
)
def test_a_plain_address_passes(address: str) -> None:
    require_address("/x", address)


@pytest.mark.parametrize(
    "address",
    [
        "a@b.de NOTIFY=NEVER",
        "a@b.de>NOTIFY=NEVER",
        "<a@b.de>",
        "a@b.de\r\nRCPT TO:<x@y.de>",
        "a@b.de\n",
        "a\r@b.de",
        "a b@b.de",
        '"a b"@b.de',
        "a@b.de,c@d.de",
        "Jane <a@b.de>",
        "a@b@c.de",
        "a(comment)@b.de",
        ".a@b.de",
        "a..b@b.de",
        "a@[127.0.0.1]",
        "a@-b.de",
        "a@b..de",
        "a@bücher.de",
        "a\u202e@b.de",
        "a\u00a0b@b.de",
        "a\u2028@b.de",
        "a\ud800@b.de",
        "=?utf-8?q?a?=@b.de",
        f"{'j' * 65}@b.de",
        f"{'ü' * 33}@b.de",
        f"{'j' * 64}@{'.'.join(['b' * 60] * 4)}.de",
        "@b.de",
        "a@",
        "a",
        "",
    ],
)
def test_an_address_that_could_say_more_than_itself_is_refused(address: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        frozen(recipient=address)

    assert (refused.value.pointer, refused.value.code) == ("/recipient", "invalid_address")
    assert len(address) < 5 or address not in str(refused.value)


@pytest.mark.parametrize(
    ("sender", "pointer"),
    [
        (Sender("V", "prüfung@vendor.test", None, None, "vendor.test"), "/sender/address"),
        (Sender("V", "a@b.test", "c@d.test\r\nBcc: x@y.de", None, "b.test"), "/sender/reply_to"),
        (Sender("V", "a@b.test", None, "b.test>", "b.test"), "/sender/bounce_domain"),
        (Sender("V", "a@b.test", None, None, "b.test\r\nBcc: x@y.de"), "/sender/message_id_domain"),
    ],
)
def test_a_sender_that_cannot_stand_in_a_header_is_refused(sender: Sender, pointer: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        frozen(sender=sender)

    assert refused.value.pointer == pointer


def test_a_message_that_reads_back_differently_never_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(text: str | None, pointer: str, limit: int) -> str | None:  # noqa: ARG001 (stands for read_name)
        return text

    monkeypatch.setattr("consentflow.mail.message.read_name", careless)

    for name in ("Jane\r\nBcc: x@y.de", CVE_2024_6923, "Jane\r\n\r\nbody"):
        with pytest.raises(InvalidInput) as refused:
            frozen(recipient_name=name)
        assert refused.value.code == "unfaithful"
