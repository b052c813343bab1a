"""``consentflow dev``: starts the stack and says what can be done with it."""

import logging
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from consentflow.dev.sample import REGISTRANT, introduce_partners, register_samples
from consentflow.dev.stack import OFFICER, Stack, stack
from consentflow.logs import set_up_logging
from consentflow.signals import until_stopped


async def run(folder: Path, port: int, *, sample: bool, time_skipping: bool) -> None:
    """Runs the stack until SIGINT or SIGTERM.

    Args:
        folder: Where everything is kept.
        port: Of the API and the pages; 0 for any.
        sample: Register sample leads. Not on a stack whose clock can be moved, where every mail is to be the caller's.
        time_skipping: Run on the engine whose clock can be moved.
    """
    # The time-skipping engine lacks abilities of a real server, and the SDK warns of each.
    set_up_logging("console", logging.ERROR if time_skipping else logging.WARNING)
    out = Console(highlight=False, soft_wrap=True)
    out.print("Starting Postgres, Temporal, mail sink, API and worker …")
    async with stack(folder, port, time_skipping=time_skipping) as running:
        sampled = sample and not time_skipping  # a story told by moving the clock starts with an empty mailbox
        if sampled:
            await introduce_partners(running.parts.partners)
            await register_samples(running.parts.registrations)
        out.print(_welcome(running, folder, sampled=sampled))
        await until_stopped()
        out.print("Stopping; the data stays.")


def _welcome(running: Stack, folder: Path, *, sampled: bool) -> str:
    info = running.info
    lines = [
        "",
        "[bold]consentflow is running.[/bold]",
        f"  API and its documentation  {info['api']}/docs",
        f"  Mailbox                    {info['api']}/dev/mailbox",
        f"  Officers sign in           {info['api']}/console as {OFFICER}",
        f"  Partners' people sign in   {info['api']}/partner" + (f" as {REGISTRANT}" if sampled else ""),
    ]
    if info["temporal_ui"]:
        lines.append(f"  Workflows (Temporal's UI)  {info['temporal_ui']}/namespaces/default/workflows")
    else:
        lines.append(f"  Move the clock             POST {info['api']}/dev/clock " + '{"advance": "P30D"}')
    lines += [f"  Keys and addresses         {escape(str(folder / 'dev.json'))}", "", "Ctrl-C stops it."]
    return "\n".join(lines)
