"""``consentflow policy``: checking policy files, and trying them on stored registrations."""

import asyncio
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, Annotated

import typer
from rich.console import Console

from consentflow.domain.clock import SystemClock
from consentflow.domain.errors import InvalidInput
from consentflow.domain.policy import Policy, read_policy
from consentflow.domain.policy_warnings import warnings_about
from consentflow.domain.simulation import Summary
from consentflow.runtime import Parts
from consentflow.settings import PolicySettings, read_settings
from consentflow.simulating import Report

app = typer.Typer(no_args_is_help=True, help="Policy files.")

_STDOUT = Path("-")

_out = Console(highlight=False)
_err = Console(stderr=True, highlight=False)


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="A policy file; without it, the one in force.")] = None,
) -> None:
    """Validates a policy and warns of what is worth a second look; ends with 1 if it is invalid. Needs no database."""
    typer.echo(_in_words(_read(file or PolicySettings().policy_file)))


@app.command()
def simulate(
    file: Annotated[Path, typer.Argument(help="The policy file to try.")],
    csv: Annotated[
        Path | None,
        typer.Option(dir_okay=False, allow_dash=True, help="Write all of them as CSV; - for standard output."),
    ] = None,
    show: Annotated[int, typer.Option(min=0, help="How many to show.")] = 20,
) -> None:
    """Replays stored registrations under another policy and shows who would be treated differently; changes nothing."""
    policy, parts = _read(file), Parts(read_settings(), SystemClock())

    async def run(report: Report) -> Summary:
        async with parts.database:
            return await parts.simulation.run(policy, report.take)

    with _opened(csv) as csv_file:
        report = Report(policy, show, csv_file)
        summary = asyncio.run(run(report))
    report.print(summary, _err if csv == _STDOUT else _out)


def _opened(csv: Path | None) -> AbstractContextManager[IO[str] | None]:
    if csv is None or csv == _STDOUT:
        return nullcontext(sys.stdout if csv else None)
    try:
        return csv.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise typer.BadParameter(f"{csv}: {error.strerror}", param_hint="--csv") from None


def _read(file: Path | None) -> Policy:
    try:
        return read_policy(file)
    except InvalidInput as error:
        place = f" (at {error.pointer})" if error.pointer else ""
        _err.print(error.reason + place, style="red", markup=False)
        raise typer.Exit(1) from None


def _in_words(policy: Policy) -> str:
    """What a policy says in numbers, and what of it is worth a second look."""
    regions, notice = policy.regions, policy.notice
    answer = f"an answer within {policy.double_opt_in.validity_days} days"
    cap = ", at the latest after a month" if notice.cap == "one_month" else ""
    lines = [
        f"{policy.version} is valid.",
        f"  double_opt_in   {len(regions.double_opt_in)} countries, {answer}",
        f"  delayed_notice  {len(regions.delayed_notice)} countries, after {notice.after_days} days{cap}",
        f"  unknown         {regions.unknown}",
    ]
    for warning in warnings_about(policy):
        lines += ["", f"warning: {warning.concern}", f"  {warning.text}", f"  {warning.source}"]
    return "\n".join(lines)
