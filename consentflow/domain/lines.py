"""Registrations by the line (NDJSON): finding the lines in what comes in pieces, and reading each.

A line ends with a line feed; a carriage return before it, a byte order mark before all of them, and lines that hold
nothing are passed over, and counted all the same.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError
from pydantic_core import from_json

from consentflow.domain.faults import Fault, faults_of
from consentflow.domain.intake import RegistrationIn

LONGEST_LINE: Final = 64 * 1024
"""Bytes of a line; a registration has hardly one."""

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Why a line is no registration. Names fields, never values.

    Args:
        code: ``malformed_json``, ``not_utf8``, ``too_large``, ``malformed_csv`` or ``invalid``.
        detail: In words; None where the faults say it.
        faults: The fields that are not right, where it is ``invalid``.
    """

    code: str
    detail: str | None = None
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """What was handed in by one line, or by one row of a table.

    Args:
        number: Of the line on which it begins; the first is 1.
        registration_id: As far as it can be made out.
    """

    number: int
    registration_id: str | None
    said: RegistrationIn | Unreadable


class Lines:
    """Takes bytes in pieces of any size and gives out the rows; keeps no more than one line in memory.

    Args:
        longest: The most bytes a line may have; of a longer one the rest is passed over.
    """

    def __init__(self, longest: int = LONGEST_LINE) -> None:
        self._longest = longest
        self._begun = bytearray()
        self._too_long = False
        self._ended = 0

    @property
    def next(self) -> int:
        """The number of the line that has not ended yet."""
        return self._ended + 1

    def feed(self, piece: bytes) -> Iterator[Row]:
        """The rows whose lines end in this piece."""
        *ends, rest = piece.split(b"\n")
        for end in ends:
            self._add(end)
            yield from self._end()
        self._add(rest)

    def end(self) -> Iterator[Row]:
        """The last row, if its line had no end."""
        if self._begun or self._too_long:
            yield from self._end()

    def _add(self, more: bytes) -> None:
        if self._too_long or len(self._begun) + len(more) > self._longest:
            self._too_long = True
            self._begun.clear()
        else:
            self._begun += more

    def _end(self) -> Iterator[Row]:
        line, too_long = bytes(self._begun), self._too_long
        self._begun.clear()
        self._too_long = False
        self._ended += 1
        if self._ended == 1:
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if too_long:
            yield Row(self._ended, None, Unreadable("too_large", f"A line has at most {self._longest} bytes."))
        elif not line.isspace() and line:
            yield read_line(self._ended, line)


def read_line(number: int, line: bytes) -> Row:
    """What one line of JSON says."""
    try:
        request = RegistrationIn.model_validate_json(line)
    except ValidationError as error:
        return _refused(number, line, error)
    return Row(number, request.registration_id, request)


def read_row(number: int, content: dict[str, object]) -> Row:
    """What one row of a table says, put in the shape that JSON would have."""
    try:
        request = RegistrationIn.model_validate(content)
    except ValidationError as error:
        return Row(number, as_identifier(content.get("registration_id")), _invalid(error))
    return Row(number, request.registration_id, request)


def as_identifier(value: object) -> str | None:
    """A registration id, if that is what it is: nothing else is ever repeated."""
    return value if isinstance(value, str) and _IDENTIFIER.fullmatch(value) else None


def _refused(number: int, line: bytes, error: ValidationError) -> Row:
    try:
        line.decode()
    except UnicodeDecodeError:
        return Row(number, None, Unreadable("not_utf8", "The line is not UTF-8."))
    try:
        content = from_json(line)
    except ValueError:
        return Row(number, None, Unreadable("malformed_json", "The line is not JSON."))
    found = content.get("registration_id") if isinstance(content, dict) else None
    return Row(number, as_identifier(found), _invalid(error))


def _invalid(error: ValidationError) -> Unreadable:
    faults = faults_of(error.errors(include_url=False, include_input=False, include_context=False))
    return Unreadable("invalid", faults=faults)
