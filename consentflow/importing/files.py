"""Opening what is to be imported, and finding out what it is."""

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from consentflow.domain.errors import ConsentflowError
from consentflow.domain.lines import Lines, Row
from consentflow.importing.tables import read_table

STANDARD_INPUT: Final = Path("-")
UTF_8: Final = "utf-8"

_PIECE: Final = 1 << 16
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


class Unusable(ConsentflowError):
    """There is nothing to import in it; the message says why, and what to do."""


class Format(StrEnum):
    """How registrations are written down."""

    NDJSON = "ndjson"
    CSV = "csv"


_BY_SUFFIX: Final = {
    ".ndjson": Format.NDJSON,
    ".jsonl": Format.NDJSON,
    ".csv": Format.CSV,
    ".tsv": Format.CSV,
}


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is read once, from its beginning.

    Args:
        stream: Its bytes.
        text: The same as text, of a CSV.
        size: How many bytes there are; None for a pipe.
    """

    stream: io.BufferedReader
    text: io.TextIOWrapper | None
    size: int | None

    def close(self) -> None:
        """Closes a file; a pipe stays open, since whoever reads it may be waiting still."""
        if self.size is not None:
            (self.text or self.stream).close()

    @property
    def position(self) -> int:
        """How many bytes have been read, where the size is known."""
        return self.stream.tell() if self.size is not None else 0

    def rows(self) -> Iterator[Row]:
        """All rows; a CSV's header has been read when this returns.

        Raises:
            Unusable: There is no header, or it is not what it is said to be.
        """
        if self.text is None:
            return _rows_of_lines(self.stream)
        try:
            return read_table(self.text)
        except ValueError as error:
            raise Unusable(str(error)) from None


def open_source(file: Path, format_: Format | None, encoding: str) -> Source:
    """Opens a file, or standard input.

    Args:
        format_: None to go by the file's name, or else by its first byte.

    Raises:
        Unusable: It cannot be opened, or is neither NDJSON nor CSV in that encoding.
    """
    raw: Any
    try:
        if file == STANDARD_INPUT:
            # Unbuffered, so that what is there is taken without waiting for more.
            raw, size = getattr(sys.stdin.buffer, "raw", sys.stdin.buffer), None
        else:
            raw = file.open("rb", buffering=0)
            size = file.stat().st_size if raw.seekable() else None
        stream = io.BufferedReader(raw, _PIECE)
        head = stream.peek(_PIECE)
    except OSError as error:
        raise Unusable(f"{file}: {error.strerror}") from None
    begins = head.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1]
    found = format_ or _BY_SUFFIX.get(file.suffix.lower()) or (Format.NDJSON if begins in {b"{", b"["} else Format.CSV)
    source = Source(stream, None, size)
    try:
        _look_at(head, begins, found, encoding)
        return source if found is Format.NDJSON else replace(source, text=_as_text(stream, encoding))
    except Unusable:
        source.close()
        raise


def _look_at(head: bytes, begins: bytes, found: Format, encoding: str) -> None:
    if found is Format.NDJSON:
        if not _is_utf_8(encoding):
            raise Unusable("JSON is always UTF-8; --encoding is for CSV.")
        if begins == b"[":
            raise Unusable("This is one JSON array; one registration a line is wanted, as `jq -c '.[]'` makes of it.")
        return
    if not _is_utf_8(encoding):
        return
    if head.startswith(_UTF_16):
        raise Unusable("This is UTF-16, not UTF-8: say --encoding utf-16.")
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.end < len(head):  # at the very end a character may only have been cut in two
            raise Unusable(
                "This is not UTF-8. Excel often writes cp1252: say --encoding cp1252, or save it as CSV UTF-8."
            ) from None


def _as_text(stream: io.BufferedReader, encoding: str) -> io.TextIOWrapper:
    """Text with its line ends as they are; bytes that are not in the encoding become surrogates."""
    encoding = "utf-8-sig" if _is_utf_8(encoding) else encoding
    try:
        return io.TextIOWrapper(stream, encoding, errors="surrogateescape", newline="")
    except LookupError:
        raise Unusable(f"There is no encoding {encoding} for text.") from None


def _is_utf_8(encoding: str) -> bool:
    return encoding.lower().replace("_", "-") in {UTF_8, "utf8"}


def _rows_of_lines(stream: io.BufferedReader) -> Iterator[Row]:
    lines = Lines()
    while piece := stream.read1(_PIECE):
        yield from lines.feed(piece)
    yield from lines.end()
