"""What a run found out: a table for people, ``bench.json`` for programs."""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from benchmarks.figures import Figure
from benchmarks.machine import Machine

EXPLAINED = "docs/benchmarks.md#where-a-target-is-missed"
"""Where to read why a target is missed."""


@dataclass(slots=True)
class Run:
    """One run, as far as it has come.

    Args:
        at: When it began, UTC, RFC 3339.
        rounds: How often each was measured.
        figures: By the name of the row.
        failed: By the name of the row, why it has no figure.
        seconds: By the name of the row, how long it took, its servers' start included.
    """

    at: str
    rounds: int
    machine: Machine
    figures: list[tuple[str, Figure]] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def missed(self) -> list[str]:
        """The rows whose target is missed."""
        return [row for row, figure in self.figures if figure.met is False]


def save(run: Run, path: Path) -> None:
    """Writes the run for programs."""
    against_floors = [_as_json(row, figure) for row, figure in run.figures if figure.target is not None]
    against_peers = [_as_json(row, figure) for row, figure in run.figures if figure.target is None]
    failed = [{"row": row, "error": error} for row, error in run.failed.items()]
    content = {"at": run.at, "rounds": run.rounds, "machine": run.machine, "figures": against_floors}
    path.write_text(
        json.dumps(content | {"peers": against_peers, "failed": failed, "seconds": run.seconds}, indent=2) + "\n"
    )


def read(path: Path) -> Run:
    """Reads what `save` wrote."""
    content = json.loads(path.read_text())
    return Run(
        at=content["at"],
        rounds=content["rounds"],
        machine=content["machine"],
        figures=[_figure(each) for each in content["figures"] + content["peers"]],
        failed={each["row"]: each["error"] for each in content["failed"]},
        seconds=content["seconds"],
    )


def table(run: Run) -> Table:
    """The run as a table."""
    shown = Table(title="Each against its floor, measured in the same run")
    for heading in ("row", "what", "unit", "ours", "floor", "ratio (of the rounds)", "to reach", ""):
        shown.add_column(heading)
    for column in (3, 4, 5, 6):
        shown.columns[column].justify = "right"
    for row, figure in run.figures:
        style, word = {True: ("green", "met"), False: ("red", "missed"), None: ("dim", "a peer")}[figure.met]
        cells = (figure.name, figure.unit, amount(figure.ours), amount(figure.floor))
        shown.add_row(row, *cells, ratio(figure), to_reach(figure), Text(word, style))
    for row, error in run.failed.items():
        shown.add_row(row, error, "", "", "", "", "", Text("failed", "bold red"))
    return shown


def amount(value: float) -> str:
    """A number in as many digits as mean something."""
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2  # noqa: PLR2004
    return f"{value:,.{digits}f}"


def ratio(figure: Figure) -> str:
    """The ratio, and what the rounds had."""
    least, greatest = figure.spread
    return f"{figure.ratio:.2f}" + (f" ({least:.2f}–{greatest:.2f})" if least != greatest else "")


def to_reach(figure: Figure) -> str:
    """The bound."""
    return "" if figure.target is None else f"{'≤' if figure.at_most else '≥'} {figure.target:g}"


def _as_json(row: str, figure: Figure) -> dict[str, object]:
    least, greatest = figure.spread
    return {
        **dataclasses.asdict(figure),
        "met": figure.met,
        "row": row,
        "least": least,
        "greatest": greatest,
    }


def _figure(content: Mapping[str, Any]) -> tuple[str, Figure]:
    known = {each.name: content[each.name] for each in dataclasses.fields(Figure)}
    known["rounds"] = tuple((ours, floor) for ours, floor in content["rounds"])
    return content["row"], Figure(**known)
