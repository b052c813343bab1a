"""What every recorder of histories needs: servers of a path's own, and a file without the recording machine in it.

A history that exists is a promise to workflows that were started by older code: it is recorded anew only when no such
workflow can be left, and never to make a failing replay pass. A change of a workflow that breaks one needs
``workflow.patched``. The data is made up.
"""

import asyncio
import base64
import json
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

from temporalio.client import WorkflowHandle, WorkflowHistory

from consentflow.dev.postgres import postgres
from consentflow.dev.temporal import connect, time_skipping_server
from consentflow.neighbours import prepare_search_attributes
from tests.workflow.service import PostOffice, SkippingService, skipping_service

HISTORIES = Path(__file__).parent / "histories"

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"
Recorded: TypeAlias = WorkflowHandle[Any, Any]


@asynccontextmanager
async def time_that_skips() -> AsyncIterator[tuple[SkippingService, PostOffice]]:
    """A service on a database and an engine of its own, whose clock can be moved; its mail server is shut at first."""
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        database_url = await running.enter_async_context(postgres(folder / "postgres"))
        client = await connect(await running.enter_async_context(time_skipping_server()))
        await prepare_search_attributes(client)
        post = PostOffice(folder / "mail")
        service = skipping_service(database_url, client, post.port, post.maildir, folder / "clock.json")
        async with service as skipping:
            await skipping.parts.database.migrate()  # the tables come first: a service begins to work at once
            yield skipping, post


async def keep(handle: Recorded, file: Path) -> None:
    """Writes the history of a workflow that has come to its end."""
    await handle.result()
    history = json.loads((await handle.fetch_history()).to_json())
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(_anonymous(history), indent=1) + "\n", encoding="utf-8")


def run(record: Callable[[Collection[str]], Awaitable[None]], names: Collection[str]) -> None:
    """Records the paths that the command line names, or all."""
    asked_for = sys.argv[1:] or sorted(names)
    if unknown := sorted(set(asked_for) - set(names)):
        sys.exit(f"unknown paths: {', '.join(unknown)}")

    async def taken() -> None:
        await record(frozenset(asked_for))

    asyncio.run(taken())


def read(file: Path) -> WorkflowHistory:
    """A recorded history."""
    return WorkflowHistory.from_json(f"{file.parent.name}/{file.stem}", file.read_text(encoding="utf-8"))


def told_by(file: Path) -> list[str]:
    """Everything a history says: its text, and each payload in it."""
    text = file.read_text(encoding="utf-8")
    return [text, *(base64.b64decode(data).decode() for data in re.findall(r'"data": "([^"]*)"', text))]


def result_of(file: Path) -> str:
    """What the workflow answered at its end."""
    last = read(file).events[-1].workflow_execution_completed_event_attributes
    result: str = json.loads(last.result.payloads[0].data)
    return result


def _anonymous(node: Json) -> Json:
    """The history without the names and paths of the machine it was recorded on; replaying looks at none of them."""
    if isinstance(node, list):
        return [_anonymous(each) for each in node]
    if not isinstance(node, dict):
        return node
    if node.get("kind") == "TASK_QUEUE_KIND_STICKY":
        return {**node, "name": "sticky"}
    kept = {key: _anonymous(value) for key, value in node.items() if key != "stackTrace"}
    if "identity" in kept:
        kept["identity"] = "recorder"
    return kept
