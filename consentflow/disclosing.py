"""``consentflow access``: handing out what is held about a person."""

import asyncio
import json
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import Console

from consentflow.domain.acts import COMMAND_LINE
from consentflow.domain.clock import SystemClock
from consentflow.domain.errors import InvalidInput
from consentflow.operations.access import AccessExport
from consentflow.pages.access import render_access
from consentflow.runtime import Parts
from consentflow.settings import read_settings

app = typer.Typer(no_args_is_help=True, help="What is held about a person.")

_err = Console(stderr=True, highlight=False)


class Format(StrEnum):
    """How it is handed out."""

    JSON = "json"
    HTML = "html"


@app.callback()
def access() -> None:
    """What is held about a person."""


@app.command()
def export(
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="The person's address, or its pseudonym (s-…).")],
    as_: Annotated[Format, typer.Option("--format", help="json, or html for paper.")] = Format.JSON,
) -> None:
    """Everything held about a person in every role (GDPR Art. 15); noted in the ledger."""

    async def run() -> AccessExport:
        parts = Parts(read_settings(), SystemClock())
        async with parts.database:
            return await parts.access_exports.export(email, COMMAND_LINE)

    try:
        found = asyncio.run(run())
    except InvalidInput as error:
        _err.print(error.reason, style="red")
        raise typer.Exit(1) from None
    if as_ is Format.JSON:
        typer.echo(json.dumps(found.document(), ensure_ascii=False, indent=2))
    else:
        typer.echo(render_access(found))
