"""Records the histories of data-source requests that `test_replay_source_requests.py` replays, one of every path.

Run ``python -m tests.replay.record_source_requests``, or name the paths to record anew; `recording` says when to.
"""

from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from typing import TypeAlias

from consentflow.domain.source_intake import PauseIn
from consentflow.domain.source_requests import SourceDecision
from tests.replay.recording import HISTORIES, keep, run, time_that_skips
from tests.workflow.service import SkippingService
from tests.workflow.test_source_requests import ACTOR, DAY, Requests, officer, passes_until

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
    """Takes the named paths, each with a database and a server of its own, and writes their histories."""
    for path in PATHS:
        if path.__name__ in names:
            async with time_that_skips() as (skipping, post), post.open(), officer(skipping) as requests:
                request_id = await path(skipping, requests)
                await requests.ends(request_id)
                handle = skipping.client.get_workflow_handle(f"source-request/{request_id}")
                await keep(handle, HISTORIES / "source_request" / f"{path.__name__}.json")


if __name__ == "__main__":
    run(record, NAMES)
