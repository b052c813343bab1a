"""``consentflow officers``: who may enter the console."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from consentflow.domain.clock import SystemClock
from consentflow.domain.errors import InvalidInput
from consentflow.domain.letters import Language
from consentflow.operations.officers import OfficerRole, Officers
from consentflow.runtime import Parts
from consentflow.settings import read_settings

app = typer.Typer(no_args_is_help=True, help="Privacy officers: who may enter the console.")

Address = Annotated[str, typer.Argument(metavar="EMAIL", help="Where links to sign in are sent.")]
T = TypeVar("T")

_out = Console(soft_wrap=True, highlight=False)
_err = Console(stderr=True, highlight=False)


@app.command()
def add(
    email: Address,
    role: Annotated[OfficerRole, typer.Option(help="What the officer may do.")] = OfficerRole.OFFICER,
    language: Annotated[Language, typer.Option(help="In which the officer is written to.")] = Language.ENGLISH,
) -> None:
    """Lets somebody into the console; for one who is there already, changes role and language."""
    officer = _done(lambda officers: officers.add(email, role, language))
    public_url = read_settings().public_url
    _out.print(f"{officer.email} may sign in at {public_url}/console as {officer.role}.", markup=False)


@app.command()
def remove(email: Address) -> None:
    """Lets somebody in no more and ends its sessions; ends with 1 if it was no officer."""
    if not _done(lambda officers: officers.remove(email)):
        _err.print("This is no officer.", style="red")
        raise typer.Exit(1)
    _out.print("Removed; every session has ended.")


@app.command("list")
def show() -> None:
    """Lists the officers."""
    table = Table("Address", "Role", "Language", "Since")
    for officer in _done(lambda officers: officers.find_all()):
        table.add_row(officer.email, officer.role, officer.language, f"{officer.added_at:%Y-%m-%d}")
    if table.row_count:
        _out.print(table)
    else:
        _out.print("There are no officers yet: consentflow officers add EMAIL")


def _done(work: Callable[[Officers], Awaitable[T]]) -> T:
    async def run() -> T:
        parts = Parts(read_settings(), SystemClock())
        async with parts.database:
            return await work(parts.officers)

    try:
        return asyncio.run(run())
    except InvalidInput as error:
        _err.print(error.reason, style="red")
        raise typer.Exit(1) from None
