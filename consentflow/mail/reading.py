"""Frozen mails read back, for somebody who must see what was written and may not act in its reader's stead."""

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

_TOKEN = re.compile(r"(https?://[^\s<>]*/)[\w-]{22}(?![\w-])")
"""The opaque end of a link: whoever has it can do what its reader can."""


@dataclass(frozen=True, slots=True)
class ReadMail:
    """What a mail says.

    Args:
        to: As its header has it: a name, if there is one, and the address.
        text: The plain text part; the opaque end of every link is left out.
    """

    to: str
    subject: str
    text: str


def read_frozen(content: bytes) -> ReadMail:
    """The mail behind frozen bytes."""
    mail = message_from_bytes(content, _class=EmailMessage, policy=policy.default)
    part = mail.get_body(("plain",))
    text = str(part.get_content()) if part else ""
    return ReadMail(str(mail["To"]), str(mail["Subject"]), without_tokens(text))


def read_html(content: bytes) -> str:
    """The HTML part of the mail behind frozen bytes; the opaque end of every link is left out."""
    part = message_from_bytes(content, _class=EmailMessage, policy=policy.default).get_body(("html",))
    return without_tokens(str(part.get_content())) if part else ""


def without_tokens(text: str) -> str:
    """The text with every link cut before its opaque end."""
    return _TOKEN.sub(r"\1…", text)
