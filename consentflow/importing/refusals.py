"""What was refused, and why: for people, or for the program that shall put it right. No personal data."""

import csv
import json
from collections.abc import Callable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import IO, Any, Protocol

from consentflow.domain.errors import InvalidInput, RegistrationConflict
from consentflow.domain.lines import Unreadable
from consentflow.operations.bulk import Outcome
from consentflow.operations.registrations import Taken
from consentflow.simulating import as_cell


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why one row was refused.

    Args:
        line: On which the row begins.
        registration_id: As far as it could be made out.
        code: Stable; as the API answers.
        pointer: JSON pointer to the field, such as ``/contact/email``; None for the whole row.
        reason: In words.
    """

    line: int
    registration_id: str | None
    code: str
    pointer: str | None
    reason: str


def refusals_of(outcome: Outcome) -> list[Refusal]:
    """Every reason why the row was refused; none if it was taken."""
    row = outcome.row
    match outcome.result:
        case Taken():
            found: list[tuple[str, str | None, str]] = []
        case Unreadable(code=code, detail=detail, faults=faults):
            found = [(fault.code, fault.pointer, fault.reason) for fault in faults] or [(code, None, detail or code)]
        case InvalidInput() as error:
            found = [(error.code, error.pointer, error.reason)]
        case RegistrationConflict() as error:
            found = [(error.code, None, "The registration id is known with other content.")]
        case error:
            found = [(getattr(error, "code", "storage_unavailable"), None, str(error))]
    return [Refusal(row.number, row.registration_id, *each) for each in found]


class Told(Protocol):
    """Takes the refusals of one row."""

    def __call__(self, refusals: list[Refusal]) -> None:
        """Tells them."""


def in_words(say: Callable[[str], object]) -> Told:
    """One line for each row."""

    def tell(refusals: list[Refusal]) -> None:
        row = refusals[0]
        who = f" ({row.registration_id})" if row.registration_id else ""
        reasons = "; ".join(
            f"{each.pointer}: {each.code}, {each.reason}" if each.pointer else f"{each.code}, {each.reason}"
            for each in refusals
        )
        say(f"line {row.line}{who}: {reasons}")

    return tell


def as_report(out: IO[str], path: Path) -> Told:
    """One record for each reason: CSV if the file is named so, else NDJSON."""
    names = [each.name for each in fields(Refusal)]
    if path.suffix.lower() != ".csv":

        def as_json(refusals: list[Refusal]) -> None:
            for each in refusals:
                out.write(json.dumps(dict(zip(names, astuple(each), strict=True)), ensure_ascii=False) + "\n")

        return as_json
    writer: Any = csv.writer(out, lineterminator="\n")
    writer.writerow(names)

    def as_table(refusals: list[Refusal]) -> None:
        for each in refusals:
            writer.writerow([as_cell("" if cell is None else str(cell)) for cell in astuple(each)])

    return as_table
