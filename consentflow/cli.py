"""The command line."""

import asyncio
import gc
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from consentflow import appointing, disclosing, importing, policing, sweeping
from consentflow.domain.audit import Findings
from consentflow.domain.clock import SystemClock
from consentflow.domain.errors import ConsentflowError, InvalidInput, NotFound
from consentflow.operations.keys import Role
from consentflow.operations.ledger import Export
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
ledger_app = typer.Typer(no_args_is_help=True, help="The evidence.")
app.add_typer(ledger_app, name="ledger")

app.add_typer(appointing.app, name="officers")
app.add_typer(policing.app, name="policy")
app.add_typer(disclosing.app, name="access")
app.command()(sweeping.retention)
app.command("import")(importing.import_)

_out = Console()
_err = Console(stderr=True)

_YOUNG = 10_000
"""Objects made before Python looks for rings among them; a set of registrations makes, and keeps, thousands."""


class ExportFormat(StrEnum):
    """How evidence is handed out."""

    JSON = "json"
    HTML = "html"


def main() -> None:
    """Runs a command; a mistake we know ends in one line, not in a traceback."""
    gc.set_threshold(_YOUNG)
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
    from consentflow.neighbours import migrate as bring_up  # noqa: PLC0415 - keeps the name of the command free

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


@app.command()
def preview(
    folder: Annotated[Path, typer.Argument(file_okay=False, help="Where the files go; made if it is not there.")],
) -> None:
    """Writes every letter and page in every language as files; needs no settings."""
    from consentflow.preview import write_preview  # noqa: PLC0415 - only this command renders everything

    written = write_preview(folder)
    typer.echo(f"Wrote {written.letters} letters and {written.pages} pages; begin at {written.start}")


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


@app.command()
def inbound(
    file: Annotated[typer.FileBinaryRead, typer.Argument(help="The raw message; - for standard input.")],
    envelope_to: Annotated[
        str | None, typer.Option(envvar="ORIGINAL_RECIPIENT", help="The address the mail server delivered it to.")
    ] = None,
) -> None:
    """Takes a bounce or a complaint from a mail server's pipe; what is not about a mail of ours is ignored."""
    from consentflow.mail.inbound import LONGEST_MESSAGE, read_inbound  # noqa: PLC0415 - only this command reads mail

    verdict = read_inbound(file.read(LONGEST_MESSAGE), envelope_to=envelope_to)

    async def take() -> bool:
        parts = _parts()
        async with parts.database:
            return await parts.bounces.take(verdict)

    typer.echo(verdict.kind.value if asyncio.run(take()) else "ignored")


@ledger_app.command("verify")
def verify_ledger() -> None:
    """Goes through the whole ledger; ends with 1 and names the first bad entry if anything was tampered with."""

    async def verify() -> Findings:
        parts = _parts()
        async with parts.database:
            return await parts.ledger.verify()

    from consentflow.explaining import findings_in_words  # noqa: PLC0415 - only the commands that explain need it

    findings = asyncio.run(verify())
    typer.echo(findings_in_words(findings))
    if findings.flaws:
        raise typer.Exit(1)


@ledger_app.command("export")
def export_evidence(
    subject: Annotated[str, typer.Argument(help="A pseudonym (s-…) or an e-mail address.")],
    as_: Annotated[ExportFormat, typer.Option("--format", help="json, or html for paper.")] = ExportFormat.JSON,
) -> None:
    """Consent receipts and every ledger entry of one person."""

    async def export() -> Export:
        parts = _parts()
        async with parts.database:
            return await parts.ledger.export(subject)

    try:
        found = asyncio.run(export())
    except NotFound:
        _err.print("The ledger says nothing of this person.", style="red", highlight=False)
        raise typer.Exit(1) from None
    except InvalidInput as error:
        _err.print(error.reason, style="red", highlight=False)
        raise typer.Exit(1) from None
    if as_ is ExportFormat.JSON:
        typer.echo(json.dumps(found.document(), ensure_ascii=False, indent=2))
        return
    from consentflow.pages.evidence import render_evidence  # noqa: PLC0415 - only this command renders a page

    typer.echo(render_evidence(found))


def _parts() -> Parts:
    return Parts(read_settings(), SystemClock())
