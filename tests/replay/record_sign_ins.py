"""Records the histories of links to sign in that `test_replay_sign_ins.py` replays, one of every path.

Run ``python -m tests.replay.record_sign_ins``, or name the paths to record anew; `record` says when to.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeAlias

from temporalio.client import WorkflowHandle

from consentflow.dev.postgres import postgres
from consentflow.dev.temporal import connect, time_skipping_server
from consentflow.neighbours import prepare_search_attributes
from tests.replay.record import HISTORIES as ALL_HISTORIES
from tests.replay.record import anonymous
from tests.workflow.service import PostOffice, SkippingService, skipping_service
from tests.workflow.test_sign_in import ANA, NOBODY, Asking

HISTORIES = ALL_HISTORIES / "sign_in"

Recorded: TypeAlias = WorkflowHandle[object, object]
SignInPath: TypeAlias = Callable[[SkippingService, PostOffice, Asking], Awaitable[Recorded]]


async def mailed(_: SkippingService, post: PostOffice, asking: Asking) -> Recorded:
    async with post.open():
        return await _ended(await asking.by(ANA))


async def not_known(_: SkippingService, post: PostOffice, asking: Asking) -> Recorded:
    async with post.open():
        return await _ended(await asking.by(NOBODY))


async def mailed_when_the_mail_server_was_back(service: SkippingService, post: PostOffice, asking: Asking) -> Recorded:
    answering = await asking.by(ANA)
    await asking.is_tried()
    async with post.open():
        await service.skip(minutes=16)
        return await _ended(answering)


async def too_late(service: SkippingService, post: PostOffice, asking: Asking) -> Recorded:
    answering = await asking.by(ANA)
    await asking.is_tried()
    async with post.open():
        await service.skip(minutes=21)
        return await _ended(answering)


async def _ended(answering: Recorded) -> Recorded:
    await answering.result()
    return answering


PATHS: tuple[SignInPath, ...] = (mailed, not_known, mailed_when_the_mail_server_was_back, too_late)
NAMES = frozenset(path.__name__ for path in PATHS)


async def record(names: Collection[str]) -> None:
    """Takes the named paths, each with a database and a server of its own, and writes their histories."""
    HISTORIES.mkdir(exist_ok=True)
    for path in PATHS:
        if path.__name__ not in names:
            continue
        async with AsyncExitStack() as running:
            folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
            database_url = await running.enter_async_context(postgres(folder / "postgres"))
            client = await connect(await running.enter_async_context(time_skipping_server()))
            await prepare_search_attributes(client)
            post = PostOffice(folder / "mail")
            service = skipping_service(database_url, client, post.port, post.maildir, folder / "clock.json")
            async with service as skipping:
                await skipping.parts.database.migrate()
                await skipping.register("US", registered_by=ANA)
                await skipping.settles()
                answered = await path(skipping, post, Asking(skipping))
                history = json.loads((await answered.fetch_history()).to_json())
            text = json.dumps(anonymous(history), indent=1)
            (HISTORIES / f"{path.__name__}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    asked_for = sys.argv[1:] or sorted(NAMES)
    if unknown := sorted(set(asked_for) - NAMES):
        sys.exit(f"unknown paths: {', '.join(unknown)}")
    asyncio.run(record(frozenset(asked_for)))
