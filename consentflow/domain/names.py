"""Reading the names of people and companies: any writing system, no trick characters.

What is accepted here is text and nothing else; the places that show it (mails, pages) escape it.
"""

import unicodedata
from typing import Final

from consentflow.domain.errors import InvalidInput

_JOINERS: Final = "\u200c\u200d"
"""Zero-width (non-)joiners: format characters that Persian and Indic names are spelled with."""

_FORBIDDEN_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Controls, format characters (bidi controls among them), lone surrogates, line and paragraph separators."""

ENCODED_WORD: Final = "=?"
"""Opens an RFC 2047 encoded word: older Pythons decode it into real line breaks (CVE-2024-6923)."""


def read_name(text: str | None, pointer: str, limit: int = 200) -> str | None:
    """A name as it is stored and shown: NFC, trimmed, runs of spaces made one; None for a blank one.

    Args:
        text: What was handed in.
        pointer: JSON pointer to the field, for the error.
        limit: Longest name accepted, in characters after normalisation.

    Raises:
        InvalidInput: ``forbidden_characters`` or ``too_long``.
    """
    trimmed = (text or "").strip()
    # What is printable has none of them; it is quicker to ask that first.
    if ENCODED_WORD in trimmed or (not trimmed.isprintable() and any(map(_is_forbidden, trimmed))):
        raise InvalidInput(pointer, "forbidden_characters", "The text has characters that no name has.")
    name = " ".join(unicodedata.normalize("NFC", trimmed).split())
    if len(name) > limit:
        raise InvalidInput(pointer, "too_long", f"The text is longer than {limit} characters.")
    return name or None


def _is_forbidden(char: str) -> bool:
    if char in _JOINERS:
        return False
    return unicodedata.category(char) in _FORBIDDEN_CATEGORIES or _is_noncharacter(ord(char))


def _is_noncharacter(code_point: int) -> bool:
    """Code points that Unicode reserves for internal use and never assigns (section 23.7)."""
    return 0xFDD0 <= code_point <= 0xFDEF or code_point & 0xFFFE == 0xFFFE  # noqa: PLR2004 (the ranges of the standard)
