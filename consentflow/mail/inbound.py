"""What a mail that came back to a bounce address says: a bounce, a complaint, or nothing that we act upon.

Anybody can send anything here. So a verdict is a claim: it names the bounce address and the Message-ID that the mail
says it is about, and **counts for nothing unless the bounce address is that of a mail we sent**. That address cannot
be guessed; only those who carried or got the mail know it. A Message-ID alone proves nothing (replies quote it), yet
one that is there and belongs to another mail makes the claim false. Some relays replace it, so it may be missing.

Reports are read by their structure: delivery status notifications (RFC 3464, RFC 6533) and abuse feedback reports
(RFC 5965). ``flufl.bounce`` tells whether a text without one is a bounce. The parts are taken apart here, not by the
stdlib's parser, which a megabyte of hostile boundaries or parameters keeps busy for many minutes and nested messages
break. Every step here is linear in what it reads, and what it reads is limited.

=====================================================  ================================================
a recipient's status (RFC 3463), the action being      verdict
=====================================================  ================================================
failed, 5.1.1-4, 5.1.6, 5.1.10, 5.2.1: no mailbox      hard
failed, 5.4.1, 5.4.4, 5.4.310: no way to its domain    hard
failed, 5.6.7, 5.6.9: takes no UTF-8 (RFC 6531)        hard
failed, 5.7.x: policy, about us                        soft
failed, 5.x.0 or none but 5.7.0: undefined             by the words and the reply code that come with it
failed, any other 5.x.x (5.2.2 is a full mailbox)      soft
failed, 4.x.x: given up after many attempts            soft
delayed                                                soft, not final
delivered, relayed, expanded                           other
=====================================================  ================================================

A hard verdict ends all mail to a person, so it takes a statement about the mailbox; doubt is soft. A report on several
recipients counts for the one that the returned mail was addressed to; where none is recognised (an alias, a
forwarding) the mildest counts: as long as one of them may have got it, the address works.
"""

import binascii
import email
import logging
import quopri
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Self

from flufl.bounce import all_failures

from consentflow.domain.bounces import InboundKind, Verdict

LONGEST_MESSAGE: Final = 1 << 20
"""Octets that are read of a message; reports come before the mail they return."""

_LONGEST_HEAD: Final = 1 << 16
_LONGEST_REPORT: Final = 1 << 16
_LONGEST_PROSE: Final = 1 << 14
_LONGEST_PROSE_LINE: Final = 200
_MOST_PARTS: Final = 16
_MOST_BLOCKS: Final = 32
_DEEPEST: Final = 4

_BOUNCE_ADDRESS: Final = re.compile(r"(?<![\w.+-])b-[0-9a-f]{24}@[a-z0-9][a-z0-9.-]{0,252}(?<![.-])", re.IGNORECASE)
_MESSAGE_ID: Final = re.compile(r"<[0-9a-f]{32}@[a-z0-9][a-z0-9.-]{0,252}>", re.IGNORECASE)
"""As `consentflow.mail.message` makes them. Others are not ours, and may have names in them."""

_STATUS: Final = re.compile(r"(?<![\d.])([245]\.[0-7]\.\d{1,3})(?!\.?\d)")
_NO_MAILBOX: Final = re.compile(r"5\.(?:1\.(?:[12346]|10)|2\.1|4\.(?:1|4|310)|6\.[79])")
_UNDEFINED: Final = re.compile(r"5\.[0-6]\.0")
_SAYS_NOT_THE_MAILBOX: Final = re.compile(
    r"quota|\bfull\b|storage|too (?:large|big|long)|spam|block(?:ed|list|\s+list)|blacklist|(?<!not )listed"
    r"|reputation|policy|dmarc|\bspf\b|dkim|authenticat|sender|relay|greylist|virus|content|end of data"
    r"|time[ds -]*out|expired",
    re.IGNORECASE,
)
_SAYS_NO_MAILBOX: Final = re.compile(
    r"(?:user|recipient|mailbox|address|account)s?\b.{0,40}\b(?:unknown|not found|unavailable|disabled|invalid|inactive"
    r"|does(?:n't| not) exist|not exist|not known|not listed)"
    r"|(?:unknown|no such|invalid|inactive|disabled) (?:local )?(?:user|recipient|mailbox|address|account|person)"
    r"|no (?:mailbox|account)\b.{0,20}\bhere|un-?routeable|unable to route|domain not found",
    re.IGNORECASE,
)
_NO_SUCH_RECIPIENT: Final = re.compile(r"(?:^|[;:\s])55[0136](?=[\s-])")
"""Reply codes that say so at RCPT, which is where most are given (RFC 5321 section 4.2.2, RFC 7504)."""

_MACHINE: Final = re.compile(
    r"\b(?:mailer[._-]?daemon|mail[._-]?daemon|mdaemon|postmaster|microsoftexchange\w*)\b", re.IGNORECASE
)
_COPY: Final = re.compile(
    r"^(?:-{2,}[^\n]*\b(?:copy|original|returned|below)\b|(?:return-path|received|message-id|dkim-signature):)",
    re.IGNORECASE | re.MULTILINE,
)
_COPIED_MESSAGE_ID: Final = re.compile(
    r"^[> \t]*message-id:[ \t]*\n?[ \t]*(<[^<>\s]{1,300}>)", re.IGNORECASE | re.MULTILINE
)
_BOUNDARY: Final = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_EMPTY_LINES: Final = re.compile(rb"\n(?:[ \t]*\n)+")
_LONG_LINE: Final = re.compile(rb"([^\n]{%d})[^\n]*" % _LONGEST_PROSE_LINE)

_STATUS_TYPES: Final = frozenset({"message/delivery-status", "message/global-delivery-status"})
_FEEDBACK_TYPE: Final = "message/feedback-report"
_RETURNED_TYPES: Final = frozenset(
    {"message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global", "message/global-headers"}
)
_COMPLAINTS: Final = frozenset({"abuse", "fraud", "opt-out", "opt-out-list"})
"""Feedback types (RFC 5965 section 7.3, RFC 6650) by which a person says: no more of this."""

_ENVELOPE_FIELDS: Final = ("delivered-to", "x-original-to", "x-envelope-to", "envelope-to", "to")

# It logs each detector, and what one raises about the mail; mails do not belong in logs.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)


def read_inbound(raw: bytes, *, envelope_to: str | None = None) -> Verdict:
    """What a message means. Pure; never raises, whatever the bytes.

    Args:
        raw: The message; what is beyond `LONGEST_MESSAGE` is not looked at.
        envelope_to: The address it was delivered to, where the mail server tells; believed before all headers.
    """
    message = _Part.read(raw[:LONGEST_MESSAGE].replace(b"\r\n", b"\n").lstrip(b"\n"))
    parts = list(_leaves(message))
    returned = next((_Part.read(part.content().lstrip(b"\n")) for part in parts if part.type in _RETURNED_TYPES), None)
    feedback = next((_blocks(part) for part in parts if part.type == _FEEDBACK_TYPE), [])
    status = next((_blocks(part) for part in parts if part.type in _STATUS_TYPES), [])
    prose = next((_prose(part) for part in parts if part.type == "text/plain"), "")
    if feedback:
        finding = _feedback(feedback)
    elif status:
        finding = _delivery(status, returned)
    elif _is_junk_mail_report(message, returned):
        finding = _Finding(InboundKind.COMPLAINT)
    else:
        finding = _text(message, raw, prose)
    original = [returned] if returned else []
    return Verdict(
        finding.kind,
        finding.status,
        finding.final,
        _bounce_address(message, [*feedback, *original], envelope_to),
        _message_id(message, [*original, *status, *feedback], prose),
    )


@dataclass(frozen=True, slots=True)
class _Finding:
    kind: InboundKind
    status: str | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class _Part:
    """A message, a body part or a block of report fields: fields (names in lower case) and octets."""

    fields: tuple[tuple[str, str], ...]
    body: bytes

    @classmethod
    def read(cls, raw: bytes) -> Self:
        head, _, body = (b"", b"", raw[1:]) if raw.startswith(b"\n") else raw.partition(b"\n\n")
        unfolded = re.sub(rb"\n[ \t]+", b" ", head[:_LONGEST_HEAD]).decode("utf-8", "replace")
        fields = (line.partition(":") for line in unfolded.split("\n"))
        return cls(tuple((name.strip().lower(), value.strip()) for name, colon, value in fields if colon), body)

    def all(self, name: str) -> list[str]:
        return [value for known, value in self.fields if known == name]

    def get(self, name: str) -> str:
        return next(iter(self.all(name)), "")

    @property
    def type(self) -> str:
        return self.get("content-type").partition(";")[0].strip().lower() or "text/plain"

    def content(self) -> bytes:
        """The body without its transfer encoding (RFC 2045 section 6)."""
        match self.get("content-transfer-encoding").lower():
            case "base64":
                try:  # padded, since the end may be cut off
                    return binascii.a2b_base64(self.body + b"==").replace(b"\r\n", b"\n")
                except binascii.Error:
                    return b""
            case "quoted-printable":
                return quopri.decodestring(self.body).replace(b"\r\n", b"\n")
            case _:
                return self.body


def _leaves(part: _Part, depth: int = 0) -> Iterator[_Part]:
    """The parts that have no parts (RFC 2046 section 5.1); messages within are not opened."""
    boundary = _BOUNDARY.search(part.get("content-type")) if part.type.startswith("multipart/") else None
    if boundary is None or depth == _DEEPEST:
        yield part
        return
    name = (boundary[1] or boundary[2]).encode()
    delimiter = re.compile(rb"(?:\A|\n)--%b(?:--)?[ \t]*(?=\n|\Z)" % re.escape(name))
    for chunk in delimiter.split(part.body, _MOST_PARTS)[1:]:
        yield from _leaves(_Part.read(chunk[1:]), depth + 1)


def _blocks(part: _Part) -> list[_Part]:
    """The groups of fields of a report (RFC 3464 section 2.1, RFC 5965 section 2)."""
    groups = _EMPTY_LINES.split(part.content()[:_LONGEST_REPORT].strip(b"\n"), _MOST_BLOCKS)[:_MOST_BLOCKS]
    return [block for block in map(_Part.read, groups) if block.fields]


def _feedback(report: list[_Part]) -> _Finding:
    """RFC 5965 section 3.1."""
    unwanted = any(block.get("feedback-type").lower() in _COMPLAINTS for block in report)
    return _Finding(InboundKind.COMPLAINT if unwanted else InboundKind.OTHER)


def _is_junk_mail_report(message: _Part, returned: _Part | None) -> bool:
    """An older form of Outlook's junk mail reports (JMRP): the mail attached, marked with whom it was for."""
    return returned is not None and any(part.get("x-hmxmroriginalrecipient") for part in (message, returned))


def _delivery(report: list[_Part], returned: _Part | None) -> _Finding:
    """RFC 3464 section 2.3."""
    about = [(block, _recipient_finding(block)) for block in report if block.get("action") or block.get("status")]
    addressed = _address(returned.get("to")) if returned else ""
    ours = [finding for block, finding in about if addressed and addressed in _recipients(block)]
    findings = ours or [finding for _, finding in about]
    return min(findings, key=_severity, default=_Finding(InboundKind.OTHER))


def _severity(finding: _Finding) -> tuple[bool, bool, bool]:
    return finding.kind is not InboundKind.OTHER, finding.final, finding.kind is InboundKind.HARD_BOUNCE


def _recipient_finding(block: _Part) -> _Finding:
    found = _STATUS.match(block.get("status"))
    status = found[1] if found else None
    usual = {"2": "delivered", "4": "delayed", "5": "failed"}.get((status or "?")[0], "")
    action = "".join(takewhile(str.isalpha, block.get("action").lower() or usual))  # some add a comment
    match action:
        case "failed" | "failure" | "error":
            return _failure(status, block.get("diagnostic-code"))
        case "delayed":
            return _Finding(InboundKind.SOFT_BOUNCE, status)
        case _:
            return _Finding(InboundKind.OTHER, status)


def _failure(status: str | None, words: str) -> _Finding:
    """A delivery that was given up, by its status and what comes with it; see the table above."""
    if status is None or _UNDEFINED.fullmatch(status):
        told = _STATUS.search(words)
        status = told[1] if told and told[1][0] != "2" else status
    if status is None or _UNDEFINED.fullmatch(status):
        hard = not _SAYS_NOT_THE_MAILBOX.search(words) and (
            status == "5.1.0" or _SAYS_NO_MAILBOX.search(words) or _NO_SUCH_RECIPIENT.search(words)
        )
    else:
        hard = _NO_MAILBOX.fullmatch(status)
    return _Finding(InboundKind.HARD_BOUNCE if hard else InboundKind.SOFT_BOUNCE, status, final=True)


def _text(message: _Part, raw: bytes, prose: str) -> _Finding:
    """A mail without a report: a bounce only if a mail system wrote it and flufl.bounce knows its form."""
    if not message.get("x-failed-recipients") and not _MACHINE.search(message.get("from")):
        return _Finding(InboundKind.OTHER)
    try:
        delayed, failed = all_failures(email.message_from_bytes(_excerpt(raw)))
    except Exception:  # anything can go wrong in somebody else's guesses about hostile bytes
        return _Finding(InboundKind.OTHER)
    if failed:
        return _failure(None, _COPY.split(prose, 1)[0])
    return _Finding(InboundKind.SOFT_BOUNCE if delayed else InboundKind.OTHER)


def _excerpt(raw: bytes) -> bytes:
    """The beginning, in short lines: what guessing by regular expressions can be let loose on."""
    return _LONG_LINE.sub(rb"\1", raw[: 2 * _LONGEST_PROSE].replace(b"\r\n", b"\n"))[:_LONGEST_PROSE]


def _prose(part: _Part) -> str:
    return _LONG_LINE.sub(rb"\1", part.content()[:_LONGEST_PROSE]).decode("utf-8", "replace")


def _recipients(block: _Part) -> set[str]:
    return {_address(block.get(name).partition(";")[2]) for name in ("original-recipient", "final-recipient")}


def _address(value: str) -> str:
    """The address in a To field or after an address type, to compare with another."""
    return value.rpartition("<")[2].partition(">")[0].strip().lower()


def _bounce_address(message: _Part, claims: Iterable[_Part], envelope_to: str | None) -> str | None:
    told = [envelope_to or ""]
    told += [value for name in _ENVELOPE_FIELDS for value in message.all(name)]
    told += [value for part in claims for name in ("original-mail-from", "return-path") for value in part.all(name)]
    found = next(filter(None, map(_BOUNCE_ADDRESS.search, told)), None)
    return found[0].lower() if found else None


def _message_id(message: _Part, parts: Iterable[_Part], prose: str) -> str | None:
    told = [value for part in parts for name in ("message-id", "x-original-message-id") for value in part.all(name)]
    told += _COPIED_MESSAGE_ID.findall(prose)
    told += [message.get("in-reply-to"), message.get("references")]
    found = next(filter(None, map(_MESSAGE_ID.search, told)), None)
    return found[0].lower() if found else None
