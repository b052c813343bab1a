"""Runs the benchmarks: a table on the terminal, and ``bench.json``.

``python -m benchmarks [NAME …]`` measures all rows or those named; ``--rounds N`` says how often each.
"""

import argparse
import asyncio
import dataclasses
import json
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import intake, sending
from benchmarks.figures import Figure
from benchmarks.servers import world

ROWS = {
    "accepting": (intake.accepting, 1000),
    "waiting": (intake.waiting, 500),
    "asking": (intake.asking, 200),
    "mailer": (sending.mailer, 2000),
    "mail_path": (sending.mail_path, 300),
}
"""What is measured, and how many of it in one round."""

RESULTS = Path("bench.json")


async def _main(names: list[str], rounds: int) -> None:
    figures: list[Figure] = []
    # Postgres puts its socket below the folder, and may run as another user.
    with tempfile.TemporaryDirectory(prefix="consentflow-bench-") as folder:
        Path(folder).chmod(0o755)
        async with world(Path(folder)) as servers:
            try:
                for name in names:
                    measure, number = ROWS[name]
                    figures.append(await measure(servers, number, rounds))
                    _out.print(_line(figures[-1]), highlight=False)
            except BaseException:
                _out.print("What the processes said last:", *servers.log.read_text().splitlines()[-20:], sep="\n")
                raise
    _out.print(_table(figures))
    RESULTS.write_text(json.dumps({"figures": [_as_json(figure) for figure in figures]}, indent=2) + "\n")


def _line(figure: Figure) -> str:
    return f"{figure.name}: {figure.ratio:.2f} of the floor"


def _table(figures: list[Figure]) -> Table:
    table = Table("what", "ours", "floor", "ratio", "to reach", "", title="Each against a floor measured in this run")
    for figure in figures:
        bound = f"{'≤' if figure.at_most else '≥'} {figure.target:g}"
        ours, floor = (f"{value:,.0f} {figure.unit}" for value in (figure.ours, figure.floor))
        table.add_row(figure.name, ours, floor, f"{figure.ratio:.2f}", bound, "met" if figure.met else "missed")
    return table


def _as_json(figure: Figure) -> dict[str, object]:
    return dataclasses.asdict(figure) | {"met": figure.met}


_out = Console()

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *ROWS], default=[], metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    asyncio.run(_main(arguments.names or list(ROWS), arguments.rounds))
