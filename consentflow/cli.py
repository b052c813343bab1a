"""The command line."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from consentflow.domain.clock import SystemClock
from consentflow.domain.errors import ConsentflowError, NotFound
from consentflow.operations.keys import Role
from consentflow.operations.registrations import Standing
from consentflow.runtime import Parts
from consentflow.settings import read_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Sees to it that registered leads are asked, told or left alone, as the law of their country wants.",
)
keys_app = typer.Typer(no_args_is_help=True, help="API keys.")
app.add_typer(keys_app, name="keys")

_out = Console()
_err = Console(stderr=True)


def main() -> None:
    """Runs a command; a mistake we know ends in one line, not in a traceback."""
    try:
        app()
    except ConsentflowError as error:
        _err.print(str(error), style="red", highlight=False)
        raise SystemExit(1) from None


@app.command()
def dev(
    data_dir: Annotated[Path, typer.Option(help="Where everything is kept between runs.")] = Path(".consentflow"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the API and the pages; 0 for any.")] = 8000,
    sample: Annotated[bool, typer.Option("--sample", help="Register sample leads.")] = False,
    time_skipping: Annotated[
        bool, typer.Option("--time-skipping", help="Run on the engine whose clock can be moved (POST /dev/clock).")
    ] = False,
) -> None:
    """The whole service on embedded parts, in one command."""
    from consentflow.dev.command import run  # noqa: PLC0415 - the embedded parts are an optional extra

    asyncio.run(run(data_dir, port, sample=sample, time_skipping=time_skipping))


@app.command()
def demo() -> None:
    """The 30-day story in under a minute: every regime, every mail, every decision."""
    from consentflow.dev.demo import run  # noqa: PLC0415 - the embedded parts are an optional extra

    asyncio.run(run(Console(soft_wrap=True, highlight=False)))


@app.command()
def api() -> None:
    """Serves the API and the pages."""
    from consentflow.api.app import main as serve  # noqa: PLC0415 - the other commands need no web framework

    serve()


@app.command()
def worker() -> None:
    """Carries out workflows and activities, and relays the outbox to Temporal."""
    from consentflow.worker import main as work  # noqa: PLC0415 - the other commands need no Temporal

    work()


@app.command()
def migrate() -> None:
    """Brings the database to the current schema; safe to run twice, and at once from two places."""
    from consentflow.runtime import migrate as bring_up  # noqa: PLC0415 - keeps the name of the command free

    asyncio.run(bring_up(_parts().database))
    _out.print("The database is at the current schema.")


@app.command()
def explain(registration_id: str) -> None:
    """The decision on a registration and its timeline: why a mail did or did not leave."""

    async def find() -> Standing:
        parts = _parts()
        async with parts.database:
            return await parts.registrations.find(registration_id)

    from consentflow.explaining import explain as show  # noqa: PLC0415 - only this command draws tables

    try:
        show(asyncio.run(find()), _out)
    except NotFound:
        _err.print(f"There is no registration {registration_id}.", style="red", highlight=False)
        raise typer.Exit(1) from None


@keys_app.command("create")
def create_key(
    role: Annotated[Role, typer.Option(help="What the key may do.")],
    name: Annotated[str, typer.Option(help="Who uses it.")],
) -> None:
    """Makes an API key and prints it: the only time it can be seen."""

    async def create() -> str:
        parts = _parts()
        async with parts.database:
            return await parts.keys.create(role, name)

    typer.echo(asyncio.run(create()))


def _parts() -> Parts:
    return Parts(read_settings(), SystemClock())
