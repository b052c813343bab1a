"""A letter with gaps: rendered once with a mark for each value, kept in pieces, filled in for every reader.

Most of a letter is the same for all who get it. Its lines without a mark are kept as they go into a mail; those with
one are put together anew, as the templates, the inliner of styles and the breaking of lines would have left them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, TypeAlias

from consentflow.mail.message import Rendered, quoted_printable
from consentflow.mail.untrusted import unglued

MARKS: Final = tuple(map(chr, range(0xFDD0, 0xFDE0)))
"""One for each value: code points that never stand for a character (Unicode section 23.7), so that none is text."""

_PARAGRAPH, _INDENTED, _END = "\ufde0", "\ufde1", "\ufde2"
_MARK: Final = re.compile(f"([{MARKS[0]}-{MARKS[-1]}])")
_LATER: Final = re.compile(f"{_PARAGRAPH}([^{_INDENTED}]*){_INDENTED}([^{_END}]*){_END}")
_UNRULY: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef]")

Wrap: TypeAlias = Callable[[str, str], str]
"""Breaks a paragraph into lines, each with an indent."""
Values: TypeAlias = Sequence[str | None]
"""What is put in, one for each of the `MARKS`; None for a mark that is not there."""
_Pieces: TypeAlias = tuple[str, ...]
"""Text, and at every second place the mark of what goes there."""


def is_plain(values: Iterable[str | None]) -> bool:
    """Whether values are such that nothing on the way into a mail changes them but escaping: no controls."""
    return not any(value and _UNRULY.search(value) for value in values)


def wrap_later(text: str, indent: str = "") -> str:
    """What a template is to do instead of breaking lines, as long as marks are in them."""
    one_line = text.replace("\n", " ")  # as breaking would begin
    return f"{_PARAGRAPH}{indent}{_INDENTED}{one_line}{_END}"


@dataclass(frozen=True, slots=True)
class _Kept:
    """Lines that are the same in every letter."""

    text: str
    octets: bytes


@dataclass(frozen=True, slots=True)
class _Open:
    """A line with gaps; a whole paragraph, still in one line, where ``indent`` is not None."""

    pieces: _Pieces
    indent: str | None


_Block: TypeAlias = _Kept | _Open


class Outline:
    """A letter with gaps.

    Args:
        subject: With marks, as are the others.
        text: Paragraphs with marks in them are `wrap_later`.
        wrap: Breaks them.
        text_version: As in `Rendered`.
    """

    def __init__(self, subject: str, text: str, html: str, *, wrap: Wrap, text_version: str) -> None:
        self._subject = _pieces(subject)
        self._text = tuple(_blocks(_LATER.sub(lambda found: _wrapped_now(found, wrap), text)))
        self._html = tuple(_blocks(html))
        self._wrap = wrap
        self._text_version = text_version

    def fill(self, values: Values, values_in_text: Values) -> Rendered:
        """The letter with these values: nothing else than `is_plain`.

        Args:
            values_in_text: The same ones, glued.
        """
        by_mark, in_text = _by_mark(values), _by_mark(values_in_text)

        def line(block: _Open) -> str:
            filled = _filled(block.pieces, in_text)
            return unglued(filled if block.indent is None else self._wrap(filled, block.indent))

        text, text_octets = _joined(self._text, line)
        html, html_octets = _joined(self._html, lambda block: _filled_in_html(block.pieces, by_mark))
        return Rendered(_filled(self._subject, by_mark), text, html, self._text_version, (text_octets, html_octets))


def _wrapped_now(found: re.Match[str], wrap: Wrap) -> str:
    """A paragraph without a mark need not wait."""
    return found[0] if _MARK.search(found[2]) else wrap(found[2], found[1])


def _pieces(text: str) -> _Pieces:
    return tuple(_MARK.split(text))


def _blocks(text: str) -> Iterator[_Block]:
    for is_open, lines in groupby(text.split("\n"), key=lambda line: bool(_MARK.search(line))):
        if not is_open:
            kept = "\n".join(lines)
            yield _Kept(kept, quoted_printable(kept))
            continue
        for line in lines:
            paragraph = _LATER.fullmatch(line)
            yield _Open(_pieces(paragraph[2]), paragraph[1]) if paragraph else _Open(_pieces(line), None)


def _joined(blocks: Sequence[_Block], line: Callable[[_Open], str]) -> tuple[str, bytes]:
    texts, octets = [], []
    for block in blocks:
        if isinstance(block, _Kept):
            texts.append(block.text)
            octets.append(block.octets)
        else:
            texts.append(line(block))
            octets.append(quoted_printable(texts[-1]))
    return "\n".join(texts), b"".join(octets)


def _by_mark(values: Values) -> dict[str, str]:
    return {mark: value or "" for mark, value in zip(MARKS, values, strict=False)}


def _filled(pieces: _Pieces, values: Mapping[str, str]) -> str:
    return "".join(values[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def _filled_in_html(pieces: _Pieces, values: Mapping[str, str]) -> str:
    """The line with values written as an HTML serialiser does (HTML section 13.3): in attributes not as in text."""
    filled = list(pieces)
    for place in range(1, len(pieces), 2):
        value = values[pieces[place]].replace("&", "&amp;").replace("\u00a0", "&nbsp;")
        if pieces[place - 1].endswith('="'):
            filled[place] = value.replace('"', "&quot;")
        else:
            filled[place] = value.replace("<", "&lt;").replace(">", "&gt;")
    return "".join(filled)
