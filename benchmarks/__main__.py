"""Runs the benchmarks: a table on the terminal, ``bench.json`` and ``bench.svg``.

``python -m benchmarks [NAME …]`` measures all rows or those named; with ``FULL=1`` what grows is grown to the full.
``--publish`` measures nothing: it writes the last run into the documentation.
"""

import argparse
import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks import chart, machine, publish, report
from benchmarks.figures import Figure
from benchmarks.report import Run
from benchmarks.rows import ROWS, Row
from benchmarks.servers import World, world

RESULTS, CHART = Path("bench.json"), Path("bench.svg")

_out = Console(highlight=False)
if not _out.is_terminal:
    _out = Console(highlight=False, width=160)


async def measured(rows: Mapping[str, Row], rounds: int) -> Run:
    """Measures the rows one after the other, each on servers of its own; one that fails holds up no other."""
    run = Run(datetime.now(UTC).isoformat(timespec="seconds"), rounds, {})
    for name, row in rows.items():
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="consentflow-bench-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)  # Postgres puts its socket below it, and may run as another user
            try:
                for figure in await _measure(row, Path(folder), run):
                    run.figures.append((name, figure))
                    whose = "the peer" if figure.target is None else "the floor"
                    _out.print(f"{name}: {figure.name}: {report.ratio(figure)} of {whose}")
            except TimeoutError:
                run.failed[name] = f"not done in {row.seconds:g} seconds"
            except Exception as error:  # whatever it is, the other rows can be measured
                run.failed[name] = f"{type(error).__name__}: {error}".removesuffix(": ")
            if name in run.failed:
                _out.print(f"{name} failed: {run.failed[name]}; what the processes said last:", style="red")
                _out.print(*_last_words(Path(folder)), sep="\n", markup=False)
        run.seconds[name] = round(time.monotonic() - began, 1)
        report.save(run, RESULTS)
        CHART.write_text(chart.draw(run))
    return run


async def _measure(row: Row, folder: Path, run: Run) -> list[Figure]:
    async with asyncio.timeout(row.seconds), world(folder) as servers:
        if not run.machine:
            run.machine = await machine.describe(servers.postgres_url)
            _out.print(" · ".join(f"{what} {fact}" for what, fact in run.machine.items()), style="dim")
        found = await row.measure(servers, row.number, run.rounds)
        return [found] if isinstance(found, Figure) else list(found)


def _last_words(folder: Path) -> list[str]:
    log = World.log_in(folder)
    lines = log.read_text().splitlines() if log.exists() else []
    return [line for line in lines if '"level": "info"' not in line][-20:]


def _main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a row; see --list")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default: 3)")
    parser.add_argument("--list", action="store_true", help="say what there is to measure")
    parser.add_argument("--publish", action="store_true", help="write the last run into the documentation")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - ROWS.keys():
        parser.error(f"there is no row {', '.join(sorted(unknown))}; see --list")
    if arguments.list:
        for name, row in ROWS.items():
            _out.print(f"{name}: {(row.measure.__doc__ or '').splitlines()[0]}")
        return 0
    if arguments.publish:
        publish.publish(RESULTS)
        return 0
    full = os.environ.get("FULL") == "1"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stops the servers, too
    rows = {name: row.in_full() if full else row for name, row in ROWS.items() if name in (arguments.names or ROWS)}
    run = asyncio.run(measured(rows, max(arguments.rounds, 1)))
    _out.print(report.table(run), f"{sum(run.seconds.values()):.0f} seconds; {RESULTS} and {CHART} written")
    for name in run.missed:
        _out.print(f"{name} misses its target: {report.EXPLAINED}")
    return 1 if run.failed else 0


if __name__ == "__main__":
    raise SystemExit(_main())
