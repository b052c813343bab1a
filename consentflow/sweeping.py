"""``consentflow retention``: what has been kept long enough, and letting it go."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from consentflow.domain.acts import COMMAND_LINE
from consentflow.domain.clock import SystemClock
from consentflow.domain.retention import RULES
from consentflow.operations.retention import Forecast
from consentflow.runtime import Parts
from consentflow.settings import read_settings

_out = Console(highlight=False)


def retention(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and why; change nothing.")] = False,
) -> None:
    """Lets go what has been kept long enough, as the worker does every day."""
    if dry_run:
        _out.print(_as_table(asyncio.run(_forecast())))
        return
    gone = asyncio.run(_sweep())
    for rule in RULES:
        if gone[rule.name]:
            _out.print(f"{gone[rule.name]:>9}  {rule.what}", markup=False)
    if not gone.total():
        _out.print("Nothing has been kept too long.")


async def _forecast() -> Sequence[Forecast]:
    parts = Parts(read_settings(), SystemClock())
    async with parts.database:
        return await parts.retention.forecast()


async def _sweep() -> Counter[str]:
    parts, gone = Parts(read_settings(), SystemClock()), Counter[str]()
    async with parts.database:
        async for swept in parts.retention.sweep(COMMAND_LINE):
            gone[swept.rule.name] += swept.rows
    return gone


def _as_table(forecasts: Sequence[Forecast]) -> Table:
    table = Table("Rows", "Oldest", "What goes", "Kept for", "Why", show_lines=True)
    for forecast in forecasts:
        rule, outlook = forecast.rule, forecast.outlook
        table.add_row(
            str(outlook.rows),
            f"{outlook.oldest:%Y-%m-%d}" if outlook.rows and outlook.oldest else "–",
            f"{rule.what} [dim]({rule.name})[/dim]",
            f"{rule.period} after {rule.since}",
            f"{rule.because} [dim]{rule.source}[/dim]",
        )
    return table
