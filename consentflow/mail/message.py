"""Freezing a rendered mail: from texts and names to the bytes that every attempt sends.

The header lines are written here by hand. The stdlib's writers decode ``=?…?=`` found in a value into real
line breaks (CVE-2024-6923, mended in CPython 3.11.10), lose the quotes of a folded display name, and turn a
long URL into encoded words. Its parser gives the second opinion: a message that does not read back as it was
meant never leaves.
"""

import hashlib
import re
from base64 import b64encode
from binascii import b2a_qp
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.parser import HeaderParser
from email.policy import compat32
from email.utils import format_datetime, getaddresses
from functools import lru_cache
from typing import Final

from consentflow.domain.errors import InvalidInput
from consentflow.domain.letters import FrozenMail, Language
from consentflow.domain.names import ENCODED_WORD, read_name

LONGEST_URL: Final = 200
"""Characters of an unsubscribe link. Its header is one line, well below 998 octets (RFC 5322 section 2.1.1)."""

LONGEST_TEXT: Final = 500
"""Characters of a subject or a display name."""

_LINE: Final = 76
"""Characters of a line that carries an encoded word (RFC 2047 section 2), so of any line with text in it."""

_WORD: Final = 39
"""Octets of text in one encoded word: 64 characters with its frame, so that ``Subject:`` fits before it."""

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u00a1-\U0010ffff]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LOCAL_PART: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_DOMAIN: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_URL: Final = re.compile(r"https?://[A-Za-z0-9._~:/?#\[\]@!$&'()*+;=%-]+")
_LINE_BREAK: Final = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Rendered:
    """What the templates made of a letter.

    Args:
        subject: One line.
        text: The plain text part.
        html: The HTML part, saying the same.
        text_version: Hash (SHA-256, hex) of the wording before anything personal was filled in.
        octets: Both parts as `quoted_printable` gives them, where whoever rendered them knows; else None.
    """

    subject: str
    text: str
    html: str
    text_version: str
    octets: tuple[bytes, bytes] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Sender:
    """Whose mails these are. Every address and domain is ASCII (domains as A-labels).

    Args:
        name: Display name of the From header.
        address: Address of the From header.
        reply_to: Where answers go; None when they go to ``address``.
        bounce_domain: Domain whose every ``b-…`` address takes bounces; None when they go to ``address``.
        message_id_domain: Right-hand side of Message-IDs: a domain of the sender's (RFC 5322 section 3.6.4).
    """

    name: str
    address: str
    reply_to: str | None
    bounce_domain: str | None
    message_id_domain: str


def freeze(
    rendered: Rendered,
    *,
    sender: Sender,
    recipient: str,
    recipient_name: str | None,
    key: str,
    language: Language,
    written_at: datetime,
    unsubscribe_url: str | None,
) -> FrozenMail:
    """The mail as bytes: multipart/alternative, plain text first (RFC 2046 section 5.1.4), UTF-8, CRLF.

    Pure: the same arguments give the same bytes. They are ASCII, names and subject as encoded words (RFC
    2047); only a recipient with a non-ASCII local part makes the headers UTF-8 (RFC 6532).

    Args:
        rendered: Subject and both parts.
        sender: Whose mail it is.
        recipient: Address with its domain as A-labels; becomes To and the forward path.
        recipient_name: Display name of the To header, if any.
        key: Stable name of this mail; Message-ID, boundary and bounce address are hashed from it.
        language: The language it is written in; becomes Content-Language (RFC 3282).
        written_at: Becomes Date, to the second; aware.
        unsubscribe_url: One-click link (RFC 2369, RFC 8058), at most `LONGEST_URL` characters; None for a
            mail that nobody can unsubscribe from.

    Raises:
        InvalidInput: Something cannot stand in a header (``invalid_address``, ``invalid_domain``,
            ``invalid_url``, ``forbidden_characters``, ``too_long``, ``empty``), a part is no valid Unicode
            (``forbidden_characters``), the instant is naive (``naive_instant``), or the message did not read
            back as it was meant (``unfaithful``).
    """
    _require_addresses(sender, recipient)
    if written_at.tzinfo is None:
        raise InvalidInput("/written_at", "naive_instant", "The instant has no time zone.")
    from_name = read_name(sender.name, "/sender/name", LONGEST_TEXT)
    to_name = read_name(recipient_name, "/recipient_name", LONGEST_TEXT)
    boundary = f"=_{_digest('boundary', key)}"  # quoted-printable never has "=_" (RFC 2045 section 6.7)
    utf8 = not recipient.isascii()
    headers = {
        "From": _mailbox("From", from_name, sender.address, utf8=utf8),
        "To": _mailbox("To", to_name, recipient, utf8=utf8),
        "Subject": _unstructured("Subject", _subject(rendered.subject), utf8=utf8),
        "Date": _date(written_at),
        "Message-ID": f"<{_digest('message-id', key)}@{sender.message_id_domain}>",
        "Auto-Submitted": "auto-generated",  # RFC 3834 section 5
        "Content-Language": str(language),
        "MIME-Version": "1.0",
        "Content-Type": f'multipart/alternative;\r\n boundary="{boundary}"',
    }
    if sender.reply_to is not None:
        headers["Reply-To"] = sender.reply_to
    if unsubscribe_url is not None:
        headers["List-Unsubscribe"] = f"<{_url(unsubscribe_url)}>"
        headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    header_block = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    _require_faithful(
        header_block,
        headers,
        (from_name, sender.address),
        (to_name, recipient),
    )
    text, html = rendered.octets or (_octets("plain", rendered.text), _octets("html", rendered.html))
    body = _part(boundary, "plain", text) + _part(boundary, "html", html)
    return FrozenMail(
        message_id=headers["Message-ID"],
        envelope_from=_bounce_address(sender, key),
        envelope_to=recipient,
        content=b"%b\r\n%b--%b--\r\n" % (header_block, body, boundary.encode()),
        language=language,
        text_version=rendered.text_version,
    )


def require_address(pointer: str, address: str, *, ascii_only: bool = False) -> None:
    """Insist on an address that can stand in a header and on an SMTP command line exactly as it is.

    That is a dot-atom of at most 64 octets, non-ASCII letters included (RFC 6531 section 3.3), and a domain
    of A-labels; 254 octets in all (RFC 5321 section 4.5.3.1). Quoted local parts, comments and address
    literals are refused.

    Raises:
        InvalidInput: ``invalid_address``.
    """
    local, _, domain = address.rpartition("@")
    if (
        not _LOCAL_PART.fullmatch(local)
        or not _DOMAIN.fullmatch(domain)
        or not local.isprintable()
        or "=?" in local
        or len(local.encode()) > 64  # noqa: PLR2004 (the limits of the docstring)
        or len(address.encode()) > 254  # noqa: PLR2004
        or (ascii_only and not local.isascii())
    ):
        raise InvalidInput(pointer, "invalid_address", "This is no address that a mail can carry.")


def _require_addresses(sender: Sender, recipient: str) -> None:
    require_address("/recipient", recipient)
    require_address("/sender/address", sender.address, ascii_only=True)
    if sender.reply_to is not None:
        require_address("/sender/reply_to", sender.reply_to, ascii_only=True)
    _require_domain("/sender/message_id_domain", sender.message_id_domain)
    if sender.bounce_domain is not None:
        _require_domain("/sender/bounce_domain", sender.bounce_domain)


def _require_domain(pointer: str, domain: str) -> None:
    if not _DOMAIN.fullmatch(domain):
        raise InvalidInput(pointer, "invalid_domain", "This is no domain name in ASCII.")


def _url(url: str) -> str:
    if len(url) > LONGEST_URL:
        raise InvalidInput("/unsubscribe_url", "too_long", f"The link exceeds {LONGEST_URL} characters.")
    if not _URL.fullmatch(url) or "=?" in url:
        raise InvalidInput("/unsubscribe_url", "invalid_url", "This is no absolute http(s) URL in ASCII.")
    return url


def _subject(text: str) -> str:
    subject = read_name(text, "/subject", LONGEST_TEXT)
    if subject is None:
        raise InvalidInput("/subject", "empty", "A mail needs a subject.")
    return subject


@lru_cache(64)  # mails that are written together have one instant
def _date(written_at: datetime) -> str:
    return format_datetime(written_at.astimezone(UTC))


def _digest(purpose: str, key: str) -> str:
    """32 hexadecimal digits that tell nothing about the key, nor about what another purpose makes of it."""
    return hashlib.sha256(f"{purpose}\0{key}".encode()).hexdigest()[:32]


def _bounce_address(sender: Sender, key: str) -> str:
    """The reverse path: one address per mail, so that a bounce names the mail it is about (VERP)."""
    if sender.bounce_domain is None:
        return sender.address
    return f"b-{_digest('bounce', key)[:24]}@{sender.bounce_domain}"


def _unstructured(field: str, text: str, *, utf8: bool) -> str:
    """Text as it is where it may be and fits its line, else as encoded words."""
    fits = (utf8 or text.isascii()) and len(f"{field}: {text}") <= _LINE
    return text if fits else _encoded_words(text)


def _mailbox(field: str, name: str | None, address: str, *, utf8: bool) -> str:
    """A display name and an address. The name is one quoted string or encoded words, nothing in between."""
    if name is None:
        return address
    quoted = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    fits = (utf8 or name.isascii()) and len(f"{field}: {quoted}") <= _LINE
    display = quoted if fits else _encoded_words(name)
    one_line = "\n" not in display and len(f"{field}: {display} <{address}>") <= _LINE
    return f"{display} <{address}>" if one_line else f"{display}\r\n <{address}>"


def _encoded_words(text: str) -> str:
    """The text as RFC 2047 encoded words, one a line, no character split between two (section 5)."""
    chunks = [b""]
    for octets in map(str.encode, text):
        if len(chunks[-1]) + len(octets) > _WORD:
            chunks.append(b"")
        chunks[-1] += octets
    return "\r\n ".join(f"=?utf-8?b?{b64encode(chunk).decode('ascii')}?=" for chunk in chunks)


def quoted_printable(text: str) -> bytes:
    """The lines of a text, each ended by CRLF, in quoted-printable: lines under 77 characters, safe on any server.

    Line by line or all at once comes to the same.

    Raises:
        UnicodeEncodeError: It is no valid Unicode.
    """
    lines = _LINE_BREAK.split(text) if "\n" in text or "\r" in text else [text]
    return b2a_qp("\r\n".join([*lines, ""]).encode())


def _octets(subtype: str, text: str) -> bytes:
    try:
        return quoted_printable(text)
    except UnicodeEncodeError:
        raise InvalidInput(f"/{subtype}", "forbidden_characters", "The text is no valid Unicode.") from None


def _part(boundary: str, subtype: str, octets: bytes) -> bytes:
    """One alternative."""
    head = (
        f"--{boundary}\r\n"
        f"Content-Type: text/{subtype}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n"
        "\r\n"
    )
    return head.encode() + octets


def _require_faithful(
    header_block: bytes,
    meant: Mapping[str, str],
    ours: tuple[str | None, str],
    readers: tuple[str | None, str],
) -> None:
    """Read the headers as a stranger would: none more or less, and nobody else than those two in From and To."""
    parsed = HeaderParser(policy=compat32).parsestr(header_block.decode())
    literal = ("Reply-To", "List-Unsubscribe", "Message-ID")
    if (
        parsed.defects
        or parsed.get_payload()
        or sorted(parsed.keys()) != sorted(meant)
        or _read_our_mailbox(parsed["From"]) != [ours]
        or _read_mailboxes(parsed["To"]) != [readers]
        or any(parsed[field] != meant.get(field) for field in literal)
    ):
        raise InvalidInput("", "unfaithful", "The message does not read back as it was meant.")


def _read_mailboxes(value: str) -> list[tuple[str | None, str]]:
    return [(_read_words(name) or None, address) for name, address in getaddresses([value])]


_read_our_mailbox = lru_cache(16)(_read_mailboxes)
"""The same in all mails, and nobody's personal data."""


def _read_words(text: str) -> str:
    return str(make_header(decode_header(text))) if ENCODED_WORD in text else text
