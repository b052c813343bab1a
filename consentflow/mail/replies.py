"""What an SMTP server's answer means, decided from the answer alone.

======================================================  =====================================
answer                                                  meaning
======================================================  =====================================
none (line lost, time-out), before the mail was given   `TransientFailure`
none, after the mail was given whole                    `OutcomeUnsure`
4yz anywhere                                            `TransientFailure`
5yz to greeting, EHLO, STARTTLS, AUTH or MAIL           `ConfigurationFault`
5.7.x anywhere                                          `ConfigurationFault`
5.6.7, 5.6.9 from MAIL on: no UTF-8 for this address    `RecipientRefused` (RFC 6531 section 3.5)
5.1.7, 5.1.8 from RCPT on: the sender's address         `ConfigurationFault`
other 5.1.x, 5.2.x from RCPT on                         `RecipientRefused`
5.2.2, or 552 alone, from RCPT on: mailbox full         `TransientFailure` (see below)
5.4.x at RCPT: no route to the recipient's domain       `RecipientRefused`
550, 551, 553, 556 alone at RCPT                        `RecipientRefused`
any other 5yz: protocol, size, content                  `ConfigurationFault`
======================================================  =====================================

RFC 3463 section 3.3 wants X.2.2 used as a *persistent transient* failure, since a full mailbox can be
emptied; RFC 5321 section 4.5.3.1.10 wants 552 at RCPT read as 452. X.2.1 (disabled) with a leading 5 is not
going to be enabled. A refusal of the content says nothing about the recipient: it is for us to look into.
"""

import re
from enum import StrEnum
from typing import Final

from consentflow.domain.errors import (
    ConfigurationFault,
    OutcomeUnsure,
    RecipientRefused,
    SendingFailed,
    TransientFailure,
)

LONGEST_LINE: Final = 200
"""Characters kept of a server's reply."""

_ENHANCED: Final = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?!\S)")
_UTF8_UNSUPPORTED: Final = frozenset({"5.6.7", "5.6.9"})
_SENDER_ADDRESS: Final = frozenset({"5.1.7", "5.1.8"})
_MAILBOX_FULL: Final = "5.2.2"
_MAILBOX_FULL_CODE: Final = 552
_NO_SUCH_RECIPIENT: Final = frozenset({550, 551, 553, 556})


class Stage(StrEnum):
    """The step of an SMTP session that an answer belongs to."""

    CONNECT = "connect"
    """Greeting, EHLO and STARTTLS."""
    AUTH = "auth"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    """The DATA command, and the content that follows it."""
    QUIT = "quit"


def classify(stage: Stage, code: int | None, text: str = "", *, handed_over: bool = False) -> SendingFailed:
    """The failure that a server's answer stands for, ready to be raised; see the table above.

    Args:
        stage: The step that was not answered as hoped.
        code: The reply code, or None when the line was lost or nothing came in time. A code that is neither
            4yz nor 5yz makes no sense here and counts as None.
        text: The reply's text without the code; an enhanced status (RFC 2034) is read from its start.
        handed_over: Whether the server had the content and its final dot.
    """
    if code is None or code // 100 not in {4, 5}:
        return OutcomeUnsure(stage) if handed_over else TransientFailure(stage)
    status = enhanced_status(code, text)
    transient = code // 100 == 4  # noqa: PLR2004 (4yz)
    verdict = TransientFailure if transient else _permanent(stage, code, status)
    return verdict(stage, code, status)


def enhanced_status(code: int, text: str) -> str | None:
    """The RFC 3463 status that opens a reply, such as ``5.1.1``; None where none is, or of another class."""
    found = _ENHANCED.match(text)
    return found[0] if found is not None and found[1] == str(code)[0] else None


def one_line(text: str) -> str:
    """A reply's text fit for logs and records: one line of printable characters, at most `LONGEST_LINE`."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(printable.split())[:LONGEST_LINE]


def _permanent(stage: Stage, code: int, status: str | None) -> type[SendingFailed]:
    """Who a 5yz answer is about."""
    if stage not in {Stage.CONNECT, Stage.AUTH} and status in _UTF8_UNSUPPORTED:
        return RecipientRefused
    if stage not in {Stage.RCPT, Stage.DATA}:
        return ConfigurationFault
    if status is None or status == "5.0.0":
        return _from_code(stage, code)
    if status == _MAILBOX_FULL:
        return TransientFailure
    about_recipient = {"1", "2", "4"} if stage is Stage.RCPT else {"1", "2"}
    if status not in _SENDER_ADDRESS and status.split(".")[1] in about_recipient:
        return RecipientRefused
    return ConfigurationFault


def _from_code(stage: Stage, code: int) -> type[SendingFailed]:
    """What a bare 5yz from RCPT on means (RFC 5321 section 4.2.2, RFC 7504)."""
    if code == _MAILBOX_FULL_CODE:
        return TransientFailure
    if stage is Stage.RCPT and code in _NO_SUCH_RECIPIENT:
        return RecipientRefused
    return ConfigurationFault
