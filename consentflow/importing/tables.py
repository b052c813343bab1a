"""Registrations as a table (CSV): one a row, under a header with the names of the columns."""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import Final, TextIO

from consentflow.domain.lines import LONGEST_LINE, Row, Unreadable, as_identifier, read_row

COLUMNS: Final = {
    name: tuple(path.split("."))
    for path, *names in (
        ("registration_id",),
        ("kind",),
        ("partner_id",),
        ("registered_by",),
        ("contact.email", "email"),
        ("contact.given_name", "given_name"),
        ("contact.family_name", "family_name"),
        ("contact.language", "language"),
        ("company.name", "company_name"),
        ("company.domain", "company_domain"),
        ("country",),
        ("registered_at",),
        ("deal_reference",),
        ("growth_specialist",),
    )
    for name in (path, *names)
}
"""Where in a registration the cells of a column go, by the column's name."""

_NEEDED: Final = ("registration_id", "partner_id", "contact.email")
_SEPARATORS: Final = ",;\t"
_HINT: Final = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""How Excel is told the separator, in a line before all others."""
_HARMLESS_NAME: Final = re.compile(r"[a-z][a-z0-9_.]{0,39}")


def read_table(text: TextIO) -> Iterator[Row]:
    """The rows of a table whose header is read at once.

    A blank cell is an absent value; space around a value is dropped. A row is numbered by the line it begins on.

    Args:
        text: Opened with ``newline=""``; bytes that are not in its encoding are surrogates.

    Raises:
        ValueError: There is no header, or not the one that is wanted; the message says so.
    """
    lines = _Counted(text)
    first = next((line for line in lines if line.strip()), "")
    if hint := _HINT.fullmatch(first):
        first = next((line for line in lines if line.strip()), "")
    candidates = [_cells(first, separator) for separator in (hint[1] if hint else _SEPARATORS)]
    header = max(candidates, key=lambda names: sum(name in COLUMNS for name in names))  # the first of the best
    separator = (hint[1] if hint else _SEPARATORS)[candidates.index(header)]
    return _rows(lines, separator, _places(header))


def _cells(line: str, separator: str) -> list[str]:
    try:
        (cells,) = csv.reader([line], delimiter=separator, skipinitialspace=True)
    except (csv.Error, ValueError):
        return []
    while cells and not cells[-1].strip():
        cells.pop()  # of columns that only spreadsheets see
    return [cell.strip().lower() for cell in cells]


def _places(header: Sequence[str]) -> list[tuple[str, ...]]:
    if not any(name in COLUMNS for name in header):
        raise ValueError("There is no header: the first line names no column such as registration_id.")
    if unknown := [
        name if _HARMLESS_NAME.fullmatch(name) else f"number {number}"
        for number, name in enumerate(header, 1)
        if name not in COLUMNS
    ]:
        raise ValueError(f"Unknown columns: {', '.join(unknown)}. Known are {', '.join(COLUMNS)}.")
    places = [COLUMNS[name] for name in header]
    if twice := sorted({".".join(place) for place in places if places.count(place) > 1}):
        raise ValueError(f"Columns that are there twice: {', '.join(twice)}.")
    if missing := [name for name in _NEEDED if COLUMNS[name] not in places]:
        raise ValueError(f"Missing columns: {', '.join(missing)}.")
    return places


def _rows(lines: "_Counted", separator: str, places: Sequence[tuple[str, ...]]) -> Iterator[Row]:
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True)
    while True:
        number = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            detail = f"The quotation marks do not fit; lines {number} to {lines.number} were not read."
            yield Row(number, None, Unreadable("malformed_csv", detail))
        except _TooLongError:
            yield Row(number, None, Unreadable("too_large", f"A line has at most {LONGEST_LINE} characters."))
        else:
            cells = [cell.strip() for cell in cells]
            if any(cells):
                yield _row(number, cells, places)


def _row(number: int, cells: list[str], places: Sequence[tuple[str, ...]]) -> Row:
    groups: dict[str, dict[str, str]] = {"": {}, "contact": {}}
    for place, cell in zip(places, cells, strict=False):
        if cell:
            groups.setdefault("" if len(place) == 1 else place[0], {})[place[-1]] = cell
    content: dict[str, object] = {**groups.pop(""), **groups}
    if len(cells) < len(places) or any(cells[len(places) :]):
        detail = f"The row has {len(cells)} cells, the header {len(places)}."
        return Row(number, as_identifier(content.get("registration_id")), Unreadable("malformed_csv", detail))
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        refusal = Unreadable("undecodable", "The row is not in the encoding of the file.")
        return Row(number, as_identifier(content.get("registration_id")), refusal)
    return read_row(number, content)


class _TooLongError(Exception):
    pass


class _Counted:
    """Lines of a text, counted; of one that is too long no more than that is kept.

    Args:
        text: Opened with ``newline=""``, so that lines keep their ends.
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self.number = 0

    def __iter__(self) -> "_Counted":
        return self

    def __next__(self) -> str:
        line = self._text.readline(LONGEST_LINE)
        if not line:
            raise StopIteration
        self.number += 1
        if len(line) == LONGEST_LINE and not line.endswith(("\n", "\r")):
            while len(more := self._text.readline(LONGEST_LINE)) == LONGEST_LINE and not more.endswith(("\n", "\r")):
                pass
            raise _TooLongError
        return line
