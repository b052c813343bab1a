"""Text that anybody may have typed: names of people, companies and partners.

It is stripped to one short line before a template sees it. HTML escapes it; in the text part its words are glued
together, so that no line breaks inside it.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Final, TypeAlias

from consentflow.domain.errors import InvalidInput
from consentflow.domain.names import read_name

Keep: TypeAlias = Callable[[str | None], str | None]
"""What is done to untrusted text before a template sees it: `as_it_is` or `glued`."""

LONGEST_NAME: Final = 100

LONGEST_IN_SUBJECT: Final = 60
"""Characters of a name in a subject: what it did should still be seen in a list of mails."""

# What mail clients turn into links. A bare domain is one too, but may well be how a company is known.
_ADDRESS = re.compile(r"://|\bwww\.|\S@\S|\w\.\w+/", re.IGNORECASE)
# Zero-width (non-)joiners, which Persian and Indic names are spelled with.
_JOINERS = "\u200c\u200d"
# Stands for a space within untrusted text until the lines are broken; `shown` leaves no such character in.
_GLUE = "\x1f"


def shown(text: str | None) -> str | None:
    """Untrusted text as a reader may see it: one short line of visible characters, or None.

    None also for what holds a web or mail address: mail clients would turn it into a link that is not ours.
    """
    text = text or ""
    visible = text if text.isprintable() else "".join(map(_visible, text))
    line = " ".join(visible.split())
    if not line or _ADDRESS.search(line):
        return None
    return _cut(line, LONGEST_NAME)


def shown_in_subject(text: str | None) -> str | None:
    """Untrusted text as a subject may have it, shorter; None also for what no header takes."""
    try:
        name = read_name(shown(text), "/subject")
    except InvalidInput:
        return None
    return name and _cut(name, LONGEST_IN_SUBJECT)


def as_it_is(text: str | None) -> str | None:
    """The text."""
    return text


def glued(text: str | None) -> str | None:
    """The text so that no line breaks inside it, until it is `unglued`."""
    return text and text.replace(" ", _GLUE)


def unglued(text: str) -> str:
    """The text with the spaces that were glued."""
    return text.replace(_GLUE, " ")


def _cut(line: str, length: int) -> str:
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def _visible(char: str) -> str:
    if char in _JOINERS:
        return char
    match unicodedata.category(char):
        case "Cc" | "Zs" | "Zl" | "Zp":
            return " "
        case "Cf" | "Cs":
            return ""
        case _:
            return char
