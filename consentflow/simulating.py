"""What a simulation found, on the terminal and as CSV: registration ids and pseudonyms, no personal data."""

import csv
from datetime import datetime
from typing import IO

from rich.console import Console
from rich.table import Table

from consentflow.domain.policy import Policy, Reason, Regime
from consentflow.domain.simulation import Difference, Summary, Treatment

COLUMNS = (
    "registration_id",
    "subject",
    "country",
    "registered_at",
    "was_policy_version",
    "was_regime",
    "was_reason",
    "was_notice_due",
    "would_be_policy_version",
    "would_be_regime",
    "would_be_reason",
    "would_be_notice_due",
)

_BEGINS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Report:
    """Takes differences one by one and forgets them: all go into the CSV, the first few into the table.

    Args:
        policy: The one that was simulated.
        show: How many the table has.
        csv_file: Where the CSV goes; None for nowhere.
    """

    def __init__(self, policy: Policy, show: int, csv_file: IO[str] | None = None) -> None:
        self._policy = policy
        self._room = show
        self._csv = csv.writer(csv_file, lineterminator="\n") if csv_file else None
        if self._csv:
            self._csv.writerow(COLUMNS)
        self._table = Table(box=None, pad_edge=False, header_style="dim")
        for heading in ("registration, subject", "country", "was", "would be"):
            self._table.add_column(heading, overflow="fold")

    def take(self, difference: Difference) -> None:
        """Writes a difference down."""
        taken = difference.taken
        if self._csv:
            self._csv.writerow(map(as_cell, self._row(difference)))
        if self._room > 0:
            self._room -= 1
            self._table.add_row(
                f"{taken.registration_id}\n[dim]{taken.subject}[/dim]",
                taken.country or "unknown",
                _in_words(taken.treatment),
                _in_words(difference.treatment),
            )

    def print(self, summary: Summary, out: Console) -> None:
        """Prints the table, then how many there are of each kind."""
        if not summary.different:
            out.print(f"Nobody of {summary.looked_at} would be treated differently under {self._policy.version}.")
            return
        if self._table.row_count:
            out.print(self._table)
            if hidden := summary.different - self._table.row_count:
                out.print(f"… and {hidden} more; --show N shows more of them, --csv PATH writes all.", style="dim")
            out.print()
        kinds = Table(box=None, pad_edge=False, header_style="dim")
        kinds.add_column("leads", justify="right")
        for heading in ("was", "would be", "notice"):
            kinds.add_column(heading, overflow="fold")
        for change, count in sorted(
            summary.changes.items(), key=lambda each: (-each[1], each[0].was, each[0].would_be)
        ):
            kinds.add_row(str(count), _kind(*change.was), _kind(*change.would_be), change.notice or "")
        out.print(kinds)
        out.print(
            f"\n{summary.different} of {summary.looked_at} would be treated differently under {self._policy.version}."
        )

    def _row(self, difference: Difference) -> tuple[str, ...]:
        taken = difference.taken
        return (
            taken.registration_id,
            taken.subject,
            taken.country or "",
            _instant(taken.registered_at),
            taken.policy_version,
            *_cells(taken.treatment),
            self._policy.version,
            *_cells(difference.treatment),
        )


def as_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: an apostrophe goes before what begins like one (OWASP)."""
    return f"'{text}" if text.startswith(_BEGINS_A_FORMULA) else text


def _cells(treatment: Treatment) -> tuple[str, str, str]:
    return treatment.regime.value, treatment.reason.value, _instant(treatment.notice_due)


def _in_words(treatment: Treatment) -> str:
    due = f"\nnotice {treatment.notice_due:%Y-%m-%d %H:%M}" if treatment.notice_due else ""
    return _kind(treatment.regime, treatment.reason) + due


def _kind(regime: Regime, reason: Reason) -> str:
    return f"{regime.value}\n[dim]{reason.value}[/dim]"


def _instant(at: datetime | None) -> str:
    return at.isoformat() if at else ""
