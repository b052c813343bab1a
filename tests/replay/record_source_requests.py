"""Records the histories of data-source requests that `test_replay_source_requests.py` replays, one of every path.

Run ``python -m tests.replay.record_source_requests``, or name the paths to record anew; `record` says when to.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from consentflow.dev.mailbox import mail_sink
from consentflow.dev.postgres import postgres
from consentflow.dev.temporal import connect, time_skipping_server
from consentflow.domain.source_intake import PauseIn
from consentflow.domain.source_requests import SourceDecision
from consentflow.neighbours import prepare_search_attributes
from tests.replay.record import HISTORIES as ALL_HISTORIES
from tests.replay.record import anonymous
from tests.workflow.service import SkippingService, skipping_service
from tests.workflow.test_source_requests import ACTOR, DAY, Requests, officer, passes_until

HISTORIES = ALL_HISTORIES / "source_request"

RequestPath: TypeAlias = Callable[[SkippingService, Requests], Awaitable[str]]


async def decided_while_it_slept(_: SkippingService, requests: Requests) -> str:
    request_id = await requests.confirmed()
    await requests.decide(request_id, SourceDecision.NOT_FOUND)
    return request_id


async def decided_before_it_was_confirmed(_: SkippingService, requests: Requests) -> str:
    request_id = await requests.open()
    await requests.decide(request_id, SourceDecision.REFUSE)
    return request_id


async def abandoned(service: SkippingService, requests: Requests) -> str:
    request_id = await requests.open()
    await passes_until(service, (await requests.standing(request_id)).term.deadline_day + DAY)
    return request_id


async def reminded_and_decided_too_late(service: SkippingService, requests: Requests) -> str:
    request_id = await requests.confirmed()
    await passes_until(service, (await requests.standing(request_id)).term.deadline_day + 2 * DAY)
    await requests.decide(request_id, SourceDecision.NOT_FOUND)
    return request_id


async def extended(service: SkippingService, requests: Requests) -> str:
    request_id = await requests.confirmed()
    await service.advance(days=20)
    await service.parts.source_decisions.extend(request_id, "There is much to look at.", ACTOR)
    await passes_until(service, (await requests.standing(request_id)).term.deadline_day - 10 * DAY)
    await requests.decide(request_id, SourceDecision.NOT_FOUND)
    return request_id


async def paused_and_resumed(service: SkippingService, requests: Requests) -> str:
    request_id = await requests.confirmed()
    until = service.clock.now() + timedelta(days=20)
    await service.parts.source_decisions.pause(request_id, PauseIn(reason="Who asks?", until=until), ACTOR)
    await service.advance(days=2)
    await service.parts.source_decisions.resume(request_id, ACTOR)
    await service.advance(days=20)
    await requests.decide(request_id, SourceDecision.NOT_FOUND)
    return request_id


async def answered_with_the_request_it_repeats(service: SkippingService, requests: Requests) -> str:
    first = await requests.confirmed()
    await service.advance(days=2)
    second = await requests.open()
    await requests.ends(second)
    await requests.decide(first, SourceDecision.NOT_FOUND)
    await service.settles()
    return second


async def slept_on_while_it_repeats_another(service: SkippingService, requests: Requests) -> str:
    await requests.confirmed()
    await service.advance(days=2)
    return await requests.open()


PATHS: tuple[RequestPath, ...] = (
    decided_while_it_slept,
    decided_before_it_was_confirmed,
    abandoned,
    reminded_and_decided_too_late,
    extended,
    paused_and_resumed,
    answered_with_the_request_it_repeats,
    slept_on_while_it_repeats_another,
)
NAMES = frozenset(path.__name__ for path in PATHS)


async def record(names: Collection[str]) -> None:
    """Takes the named paths, each on a server of its own, and writes the history of each one's last run."""
    HISTORIES.mkdir(exist_ok=True)
    for path in PATHS:
        if path.__name__ not in names:
            continue
        async with AsyncExitStack() as running:
            folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
            database_url = await running.enter_async_context(postgres(folder / "postgres"))
            client = await connect(await running.enter_async_context(time_skipping_server()))
            await prepare_search_attributes(client)
            maildir, clock = folder / "mail", folder / "clock.json"
            port = await running.enter_async_context(mail_sink(maildir))
            service = skipping_service(database_url, client, port, maildir, clock)
            # The tables come first: a service begins to work at once.
            async with service as skipping:
                await skipping.parts.database.migrate()
                async with officer(skipping) as requests:
                    request_id = await path(skipping, requests)
                    await requests.ends(request_id)
                    handle = client.get_workflow_handle(f"source-request/{request_id}")
                    history = json.loads((await handle.fetch_history()).to_json())
            text = json.dumps(anonymous(history), indent=1)
            (HISTORIES / f"{path.__name__}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    asked_for = sys.argv[1:] or sorted(NAMES)
    if unknown := sorted(set(asked_for) - NAMES):
        sys.exit(f"unknown paths: {', '.join(unknown)}")
    asyncio.run(record(frozenset(asked_for)))
