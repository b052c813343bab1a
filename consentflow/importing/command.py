"""``consentflow import``: what is said on the command line, and how it ends."""

import asyncio
import sys
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import IO, Annotated

import typer

from consentflow.domain.clock import SystemClock
from consentflow.importing.files import UTF_8, Format, Unusable, open_source
from consentflow.importing.refusals import as_report, in_words
from consentflow.importing.run import bring_in
from consentflow.importing.showing import Showing
from consentflow.importing.tally import Ending
from consentflow.runtime import Parts
from consentflow.settings import read_settings

_STDOUT = Path("-")

_CODES = {Ending.DONE: 0, Ending.STORAGE_AWAY: 3, Ending.STOPPED: 130}


def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="NDJSON or CSV; - for standard input.")],
    format_: Annotated[
        Format | None, typer.Option("--format", help="What it is; else its name or its first byte tells.")
    ] = None,
    encoding: Annotated[str, typer.Option(help="Of a CSV; Excel often writes cp1252.")] = UTF_8,
    report: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False,
            allow_dash=True,
            help="Write what was refused there, as NDJSON, or as CSV if named so; - for standard output.",
        ),
    ] = None,
) -> None:
    """Takes registrations from a file; running it again changes nothing and goes on where it stopped.

    Ends with 0 when every row is in, now or from before; 1 when some were refused; 2 when the file cannot be used;
    3 when Postgres stayed away, and 130 when it was interrupted: run it again then.
    """
    parts = Parts(read_settings(), SystemClock())
    try:
        source = open_source(file, format_, encoding)
        with closing(source), _opened(report) as report_file, Showing(source) as showing:
            rows = source.rows()
            told = as_report(report_file, report) if report_file and report else in_words(showing.say)
            result = asyncio.run(bring_in(parts, rows, told, showing))
    except (Unusable, UnicodeError) as error:
        said = str(error) if isinstance(error, Unusable) else f"The rest is not {encoding}."
        typer.secho(said, fg="red", err=True)
        raise typer.Exit(2) from None
    typer.echo(result.in_words(), err=True)
    if code := _CODES[result.ending] or int(result.refused > 0):
        raise typer.Exit(code)


def _opened(report: Path | None) -> AbstractContextManager[IO[str] | None]:
    if report is None or report == _STDOUT:
        return nullcontext(sys.stdout if report else None)
    try:
        return report.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise typer.BadParameter(f"{report}: {error.strerror}", param_hint="--report") from None
