"""Signing frozen mails (DKIM, RFC 6376), so that receivers know who answers for them and can trust List-Unsubscribe.

Small enough to be written here: dkimpy, which the tests verify with, takes the instant from the clock and raises to
the private power in pure Python, over 20 times the time that ``cryptography`` needs and not in constant time.
"""

import binascii
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from consentflow.domain.errors import InvalidInput

SIGNED: Final = (
    "From",
    "To",
    "Cc",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Language",
    "Auto-Submitted",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
)
"""The fields that are signed: what a reader or a mail client acts upon, nothing that a server on the way writes.

Each is named once more than it is there, so that one added later breaks the signature (RFC 6376 section 8.15).
"""

SMALLEST_KEY: Final = 2048
LARGEST_KEY: Final = 4096
"""Bits of an RSA modulus: what signers should use, and what every verifier can read (RFC 8301 section 3.2)."""

_LINE: Final = 72
_NAME: Final = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*"
)
_FIELD: Final = re.compile(rb"([!-9;-~]+)[ \t]*:((?:[^\r\n]|\r\n[ \t])*)\r\n")
_BLANKS: Final = re.compile(rb"[ \t]+")
_BLANKS_AT_END: Final = re.compile(rb"[ \t]+\r\n")


class DkimSigner:
    """Signs mails for one domain: rsa-sha256, relaxed/relaxed. Pure; build one and keep it.

    Ed25519 (RFC 8463) is refused: the large receivers do not verify it, so a mail with that signature alone counts
    as unsigned.

    Args:
        domain: The signing domain (``d=``), as A-labels; DMARC wants it to be that of the From address or above it.
        selector: Names the public key: the TXT record is at ``<selector>._domainkey.<domain>`` (``s=``).
        private_key: PEM, PKCS#8 or PKCS#1, without a passphrase.

    Raises:
        InvalidInput: ``invalid_domain``, ``invalid_selector``, ``unreadable_key``, ``unsupported_key`` (not RSA) or
            ``unsuitable_key`` (not of 2048 to 4096 bits).
    """

    def __init__(self, domain: str, selector: str, private_key: bytes) -> None:
        if not _NAME.fullmatch(domain):
            raise InvalidInput("/dkim/domain", "invalid_domain", "This is no domain name in lower-case ASCII.")
        if not _NAME.fullmatch(selector):
            raise InvalidInput("/dkim/selector", "invalid_selector", "This is no selector in lower-case ASCII.")
        self._domain = domain
        self._selector = selector
        self._key = _read_key(private_key)

    def sign(self, content: bytes, *, signed_at: datetime) -> bytes:
        """The content with one DKIM-Signature field in front, folded, CRLF.

        The same content and instant give the same bytes (RSASSA-PKCS1-v1_5 needs no randomness).

        Args:
            content: A whole message: fields, an empty line and a body, every line ending in CRLF.
            signed_at: Becomes ``t=``, to the second; aware. Verifiers refuse what was signed in the future.

        Raises:
            InvalidInput: ``naive_instant``, or ``malformed_content``: no message, or one without exactly one From.
        """
        if signed_at.tzinfo is None:
            raise InvalidInput("/signed_at", "naive_instant", "The instant has no time zone.")
        fields, body = _read_message(content)
        names = _names_to_sign(fields)
        tags = (
            "v=1; a=rsa-sha256; c=relaxed/relaxed;",
            f"d={self._domain};",
            f"s={self._selector};",
            f"t={int(signed_at.timestamp())};",
            *_packed([f"h={names[0]}", *(f":{name}" for name in names[1:])], end=";"),
            f"bh={b64encode(sha256(_relaxed_body(body)).digest()).decode('ascii')};",
            "b=",
        )
        unsigned = "\r\n ".join(tags).encode("ascii")
        own = _relaxed_field(b"DKIM-Signature", b" " + unsigned).removesuffix(b"\r\n")
        signature = self._key.sign(_relaxed_fields(fields, names) + own, PKCS1v15(), SHA256())
        value = "\r\n ".join(_packed(b64encode(signature).decode("ascii")))
        return b"DKIM-Signature: %b%b\r\n%b" % (unsigned, value.encode("ascii"), content)


def _read_key(pem: bytes) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error):  # TypeError: it has a passphrase
        raise InvalidInput("/dkim/private_key", "unreadable_key", "This is no private key in PEM.") from None
    if not isinstance(key, RSAPrivateKey):
        raise InvalidInput("/dkim/private_key", "unsupported_key", "The key is not an RSA key.")
    if not SMALLEST_KEY <= key.key_size <= LARGEST_KEY:
        reason = f"The key is not of {SMALLEST_KEY} to {LARGEST_KEY} bits."
        raise InvalidInput("/dkim/private_key", "unsuitable_key", reason)
    return key


def _read_message(content: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The fields in their order, names as they stand, and the body."""
    fields = []
    position = 0
    while found := _FIELD.match(content, position):
        fields.append((found[1], found[2]))
        position = found.end()
    authors = sum(name.lower() == b"from" for name, _ in fields)
    breaks = content.count(b"\r\n")
    whole = content.count(b"\r") == content.count(b"\n") == breaks and content.endswith(b"\r\n")
    if not whole or content[position : position + 2] != b"\r\n" or authors != 1:
        raise InvalidInput("/content", "malformed_content", "This is no message with one From and CRLF line ends.")
    return fields, content[position + 2 :]


def _names_to_sign(fields: Iterable[tuple[bytes, bytes]]) -> list[str]:
    present = Counter(name.lower() for name, _ in fields)
    return [name for name in SIGNED for _ in range(present[name.lower().encode("ascii")] + 1)]


def _relaxed_fields(fields: Sequence[tuple[bytes, bytes]], names: Iterable[str]) -> bytes:
    """What ``h=`` selects: of several with one name the last first; nothing where none is left (section 5.4.2)."""
    left: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        left.setdefault(name.lower(), []).append(_relaxed_field(name, value))
    chosen = (left.get(name.lower().encode("ascii")) for name in names)
    return b"".join(values.pop() for values in chosen if values)


def _relaxed_field(name: bytes, value: bytes) -> bytes:
    """Section 3.4.2."""
    return b"%b:%b\r\n" % (name.lower(), _BLANKS.sub(b" ", value.replace(b"\r\n", b"")).strip(b" "))


def _relaxed_body(body: bytes) -> bytes:
    """Section 3.4.4: blanks at the end of a line go, others become one space; empty lines at the end go."""
    lines = _BLANKS.sub(b" ", _BLANKS_AT_END.sub(b"\r\n", body))
    text = lines.rstrip(b"\r\n")
    return text + b"\r\n" if text else b""


def _packed(pieces: Iterable[str], end: str = "") -> list[str]:
    """The pieces in lines of at most `_LINE` characters, none broken."""
    lines = [""]
    for piece in pieces:
        if len(lines[-1]) + len(piece) > _LINE:
            lines.append("")
        lines[-1] += piece
    lines[-1] += end
    return lines
