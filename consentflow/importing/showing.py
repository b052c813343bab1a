"""The progress bar, on a terminal; elsewhere nothing moves."""

from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from consentflow.domain.errors import StorageUnavailable
from consentflow.importing.files import Source
from consentflow.importing.tally import Tally


class Showing:
    """Says on standard error how far it came, and what else is to be said meanwhile."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._waits = False
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %" if source.size else ""),
            TextColumn("{task.fields[rows]:,} rows, {task.fields[refused]:,} refused"),
            TimeElapsedColumn(),
            TextColumn("left:" if source.size else ""),
            *((TimeRemainingColumn(),) if source.size else ()),
        )
        self._progress = Progress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        )
        self._task = self._progress.add_task("", total=source.size or None, rows=0, refused=0)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._progress.stop()

    def advance(self, tally: Tally) -> None:
        """Moves the bar."""
        self._waits = False
        self._progress.update(self._task, completed=self._source.position, rows=tally.rows, refused=tally.refused)

    def away(self, error: StorageUnavailable) -> None:
        """Says, once, that Postgres is waited for."""
        if not self._waits:
            self.say(f"Postgres is not there ({error}); waiting for it.")
        self._waits = True

    def say(self, text: str) -> None:
        """One line, above the bar if there is one."""
        if self._console.is_terminal:
            self._console.print(text, markup=False)
        else:
            typer.echo(text, err=True)
