"""Signing mails; dkimpy, which knows nothing of our code, verifies."""

import re
from datetime import UTC, datetime, timedelta, timezone

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from consentflow.domain.errors import InvalidInput
from consentflow.domain.letters import Language
from consentflow.mail.dkim import SIGNED, DkimSigner
from consentflow.mail.message import Rendered, Sender, freeze

SIGNED_AT = datetime(2024, 2, 29, 12, 0, 1, 987654, tzinfo=UTC)
ADDED = b"DKIM-Signature: "


def pem(
    key: PrivateKeyTypes,
    form: PrivateFormat = PrivateFormat.PKCS8,
    secrecy: KeySerializationEncryption | None = None,
) -> bytes:
    return key.private_bytes(Encoding.PEM, form, secrecy or NoEncryption())


KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = pem(KEY)
SIGNER = DkimSigner("vendor.test", "s2026", PEM)


def record(name: bytes, timeout: int = 5) -> bytes | None:  # noqa: ARG001 (dkimpy passes it)
    """The TXT record of the one public key there is (RFC 6376 section 3.6.2)."""
    if name != b"s2026._domainkey.vendor.test.":
        return None
    return b"v=DKIM1; k=rsa; p=" + b"".join(
        KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).split(b"\n")[1:-2]
    )


def verified(content: bytes) -> bool:
    try:
        return bool(dkim.verify(content, dnsfunc=record))
    except dkim.MessageFormatError:
        return False


def frozen(recipient: str = "jane.doe@lead.test", recipient_name: str = "Jörg Döe") -> bytes:
    mail = freeze(
        Rendered("Ihre Daten – und was wir damit tun", "Guten Tag,\n\nGrüße  \n\n\n", "<p>Grüße</p>\n", "0" * 64),
        sender=Sender("Müller & Söhne", "privacy@vendor.test", "office@vendor.test", "b.vendor.test", "vendor.test"),
        recipient=recipient,
        recipient_name=recipient_name,
        key="a key",
        language=Language.GERMAN,
        written_at=SIGNED_AT,
        unsubscribe_url="https://consent.example.test/u/AAAAAAAAAAAAAAAAAAAAAA",
    )
    return mail.content


SIGNED_MAIL = SIGNER.sign(frozen(), signed_at=SIGNED_AT)


def tags(signed: bytes) -> dict[str, str]:
    field = re.match(rb"DKIM-Signature: ((?:.|\r\n[ \t])*)\r\n", signed)
    assert field is not None
    pairs = "".join(field[1].decode("ascii").split()).split(";")
    return {name: value for name, _, value in (pair.partition("=") for pair in pairs)}


def test_the_signature_stands_in_front_of_the_very_bytes_that_were_frozen() -> None:
    added = SIGNED_MAIL.removesuffix(frozen())

    assert len(added) < len(SIGNED_MAIL)
    assert added.startswith(ADDED)
    assert added.endswith(b"\r\n")
    assert added.count(b"DKIM-Signature") == 1
    assert all(line.startswith(b" ") for line in added.split(b"\r\n")[1:-1])
    assert max(map(len, added.split(b"\r\n"))) <= 76
    assert added.isascii()


def test_a_signed_mail_verifies() -> None:
    assert verified(SIGNED_MAIL)


def test_a_mail_with_utf8_headers_verifies() -> None:
    mail = frozen(recipient="jürgen@lead.test")
    assert not mail.partition(b"\r\n\r\n")[0].isascii()

    assert verified(SIGNER.sign(mail, signed_at=SIGNED_AT))


def test_an_8bit_body_verifies() -> None:
    mail = b"From: a@vendor.test\r\nSubject: x\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + "Grüße\r\n".encode()

    assert verified(SIGNER.sign(mail, signed_at=SIGNED_AT))


@pytest.mark.parametrize("body", [b"", b"\r\n", b" \t\r\n\r\n", b"a\r\n\r\n\r\n", b" a\t b \r\n", b".\r\n..\r\n"])
def test_any_body_verifies(body: bytes) -> None:
    assert verified(SIGNER.sign(b"From: a@vendor.test\r\n\r\n" + body, signed_at=SIGNED_AT))


LINES = st.lists(st.text(st.sampled_from("a=.;:\t é"), max_size=12), max_size=6)


@given(subject=LINES, body=LINES)
@settings(deadline=None)
def test_whatever_is_folded_and_blank_verifies(subject: list[str], body: list[str]) -> None:
    fields = "From: a@vendor.test\r\nSubject:" + "\r\n ".join(["", *subject]) + "x\r\n"
    text = "".join(f"{line}\r\n" for line in body)

    assert verified(SIGNER.sign(f"{fields}\r\n{text}".encode(), signed_at=SIGNED_AT))


def test_signing_twice_gives_the_same_bytes() -> None:
    again = DkimSigner("vendor.test", "s2026", PEM).sign(frozen(), signed_at=SIGNED_AT)

    assert again == SIGNED_MAIL
    assert SIGNER.sign(frozen(), signed_at=SIGNED_AT + timedelta(seconds=1)) != SIGNED_MAIL


def test_the_tags_say_who_signed_when_and_how() -> None:
    said = tags(SIGNED_MAIL)

    assert (said["v"], said["a"], said["c"]) == ("1", "rsa-sha256", "relaxed/relaxed")
    assert (said["d"], said["s"]) == ("vendor.test", "s2026")
    assert said["t"] == str(int(SIGNED_AT.timestamp()))
    assert set(said) == {"v", "a", "c", "d", "s", "t", "h", "bh", "b"}  # no l=: nothing may be appended


def test_the_instant_counts_not_its_time_zone() -> None:
    berlin = SIGNED_AT.astimezone(timezone(timedelta(hours=1)))

    assert SIGNER.sign(frozen(), signed_at=berlin) == SIGNED_MAIL


def test_every_field_of_a_frozen_mail_is_signed_once_more_than_it_is_there() -> None:
    there = re.findall(r"(?m)^([\w-]+): ", frozen().partition(b"\r\n\r\n")[0].decode())
    signed = tags(SIGNED_MAIL)["h"].split(":")

    assert set(there) <= set(SIGNED) == set(signed)
    assert {"List-Unsubscribe", "List-Unsubscribe-Post"} <= set(there)
    assert all(signed.count(name) == there.count(name) + 1 for name in SIGNED)


@pytest.mark.parametrize("name", SIGNED)
def test_a_field_added_on_the_way_breaks_the_signature(name: str) -> None:
    line = f"{name}: <mallory@attacker.example>\r\n".encode()
    head, _, body = SIGNED_MAIL.partition(b"\r\n\r\n")

    assert not verified(line + SIGNED_MAIL)
    assert not verified(head + b"\r\n" + line + b"\r\n" + body)


@pytest.mark.parametrize("name", ["From", "To", "Subject", "Date", "List-Unsubscribe", "List-Unsubscribe-Post"])
def test_a_field_taken_away_breaks_the_signature(name: str) -> None:
    changed = re.sub(rf"\r\n{name}: (?:.|\r\n[ \t])*\r\n".encode(), b"\r\n", SIGNED_MAIL, count=1)
    assert len(changed) < len(SIGNED_MAIL)

    assert not verified(changed)


@given(st.integers(len(SIGNED_MAIL) - len(frozen()), len(SIGNED_MAIL) - 1))
@settings(deadline=None, max_examples=200)
def test_one_changed_character_breaks_the_signature(position: int) -> None:
    before = SIGNED_MAIL[position : position + 1]
    after = b"y" if before in b"xX \t\r\n" else b"x"  # blanks may change in number, field names in case
    changed = SIGNED_MAIL[:position] + after + SIGNED_MAIL[position + 1 :]

    assert verified(SIGNED_MAIL)
    assert not verified(changed)


def test_what_servers_do_on_the_way_leaves_it_whole() -> None:
    head, _, body = SIGNED_MAIL.partition(b"\r\n\r\n")
    refolded = head.replace(b"Content-Language: de", b"content-language:\r\n\t de ")
    assert refolded != head
    trace = b"Return-Path: <b@b.vendor.test>\r\nReceived: from a by b; Thu, 29 Feb 2024 12:00:02 +0000\r\n"

    assert verified(trace + refolded + b"\r\nX-Scanned: yes\r\n\r\n" + body + b"\r\n\r\n")


def test_another_key_does_not_verify() -> None:
    stranger = DkimSigner("vendor.test", "s2026", pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))

    assert not verified(stranger.sign(frozen(), signed_at=SIGNED_AT))


def test_an_instant_without_time_zone_is_refused() -> None:
    with pytest.raises(InvalidInput) as refused:
        SIGNER.sign(frozen(), signed_at=datetime(2024, 2, 29))  # noqa: DTZ001 (the mistake under test)

    assert refused.value.code == "naive_instant"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"no message",
        b"From: a@vendor.test\r\n",
        b"Subject: x\r\n\r\nnobody\r\n",
        b"From: a@vendor.test\r\nFrom: b@vendor.test\r\n\r\ntwo\r\n",
        b"From: a@vendor.test\nTo: b@lead.test\n\nbare line ends\n",
        b"From: a@vendor.test\r\n\r\nbare\nline end\r\n",
        b"From: a@vendor.test\r\n\r\nno end",
        b"From: a@vendor.test\r\nno field\r\n\r\ntext\r\n",
    ],
)
def test_what_is_no_whole_message_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        SIGNER.sign(content, signed_at=SIGNED_AT)

    assert refused.value.code == "malformed_content"


@pytest.mark.parametrize(
    ("key", "code"),
    [
        (b"", "unreadable_key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "unreadable_key"),
        (PEM[: len(PEM) // 2], "unreadable_key"),
        (KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "unreadable_key"),
        (pem(KEY, secrecy=BestAvailableEncryption(b"secret")), "unreadable_key"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "unsupported_key"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "unsupported_key"),
        (pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)), "unsuitable_key"),
        (pem(rsa.generate_private_key(public_exponent=65537, key_size=4104)), "unsuitable_key"),
    ],
)
def test_a_key_that_nobody_could_verify_with_is_refused_at_once(key: bytes, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        DkimSigner("vendor.test", "s2026", key)

    assert (refused.value.pointer, refused.value.code) == ("/dkim/private_key", code)


@pytest.mark.parametrize("key", [pem(KEY, PrivateFormat.TraditionalOpenSSL), PEM.replace(b"\n", b"\r\n")])
def test_a_key_may_come_in_either_form_and_with_either_line_end(key: bytes) -> None:
    assert DkimSigner("vendor.test", "s2026", key).sign(frozen(), signed_at=SIGNED_AT) == SIGNED_MAIL


@pytest.mark.parametrize("name", ["", "a b", "a;b", "a\r\nBcc: x", "-a", "a.", "müller.test", "A.TEST", "a" * 64])
def test_a_name_that_would_spoil_the_field_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="domain"):
        DkimSigner(name, "s2026", PEM)
    with pytest.raises(InvalidInput, match="selector"):
        DkimSigner("vendor.test", name, PEM)


def test_the_signer_does_not_show_its_key() -> None:
    assert "PRIVATE" not in repr(SIGNER)
    assert str(KEY.private_numbers().d) not in repr(vars(SIGNER))
