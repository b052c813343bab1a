"""Records the histories of notifications, and of mails that travel alone, that `test_replay_digests.py` replays.

Run ``python -m tests.replay.record_digests``, or name the paths to record anew; `recording` says when to.
"""

import tempfile
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeAlias

from consentflow.dev.postgres import postgres
from consentflow.dev.temporal import connect, dev_server, free_port
from tests.replay.recording import HISTORIES, Recorded, keep, run, time_that_skips
from tests.workflow.service import PostOffice, Service, SkippingService, real_service, until
from tests.workflow.test_digests import ANA, DAILY, IMMEDIATE, Partnership

RealPath: TypeAlias = Callable[[Service, Partnership], Awaitable[Recorded]]
SkippingPath: TypeAlias = Callable[[SkippingService, Partnership, PostOffice], Awaitable[Recorded]]


async def told(_: Service, partner: Partnership) -> Recorded:
    await partner.subscribe(IMMEDIATE)
    await partner.visits()
    await partner.is_due_in(seconds=3)
    return await partner.workflow()


async def nothing_to_tell(service: SkippingService, partner: Partnership, _: PostOffice) -> Recorded:
    await partner.subscribe(DAILY)
    await partner.visits()
    await service.parts.subscribers.pause("partner-1", partner.subject())
    await service.settles()
    await service.skip(days=1)
    return await partner.workflow()


async def overtaken_by_a_newer_choice(service: SkippingService, partner: Partnership, post: PostOffice) -> Recorded:
    async with post.open():
        await partner.subscribe(DAILY)
        await partner.visits()
        await partner.choose(IMMEDIATE)
        await service.advance(days=1, hours=1)
    return await partner.workflow()


async def told_by_the_newer_choice(service: SkippingService, partner: Partnership, post: PostOffice) -> Recorded:
    async with post.open():
        await partner.subscribe(DAILY)
        await partner.visits()
        await partner.choose(IMMEDIATE)
        await service.advance(minutes=20)
    return await partner.workflow(revision=1)


async def woken_before_its_time(service: SkippingService, partner: Partnership, post: PostOffice) -> Recorded:
    async with post.open():
        await partner.subscribe(IMMEDIATE)
        await partner.visits()
        await service.settles()
        await service.skip_temporal(minutes=16)
        await service.skip(minutes=16)
        await partner.mails_arrive(1)
    return await partner.workflow()


async def told_when_the_mail_server_was_back(
    service: SkippingService, partner: Partnership, post: PostOffice
) -> Recorded:
    await _frozen(service, partner)
    post.answers.append("451 4.7.1 greylisted")
    async with post.open():
        await service.skip(minutes=1)
        await _attempted(service, 2)
        await service.skip(minutes=7)
        await partner.mails_arrive(1)
    return await partner.workflow()


async def dropped_since_the_company_was_lost(
    service: SkippingService, partner: Partnership, post: PostOffice
) -> Recorded:
    await _frozen(service, partner)
    await service.fetch("UPDATE ownerships SET until = now()")
    async with post.open():
        await service.skip(minutes=20)
        await service.settles()
    return await partner.workflow()


async def told_to_a_mailbox_that_does_not_exist(
    service: SkippingService, partner: Partnership, post: PostOffice
) -> Recorded:
    post.answers.append("550 5.1.1 unknown")
    async with post.open():
        await partner.subscribe(IMMEDIATE)
        await partner.visits()
        await service.advance(minutes=20)
    return await partner.workflow()


async def mail_that_left(service: SkippingService, partner: Partnership, post: PostOffice) -> Recorded:
    async with post.open():
        await _invited(service)
        await partner.mails_arrive(1)
    return await _only_mail(service)


async def mail_that_was_retried(service: SkippingService, partner: Partnership, post: PostOffice) -> Recorded:
    await _invited(service)
    await _attempted(service)
    async with post.open():
        await service.skip(minutes=20)
        await partner.mails_arrive(1)
    return await _only_mail(service)


async def mail_that_was_refused(service: SkippingService, _: Partnership, post: PostOffice) -> Recorded:
    post.answers.append("550 5.1.1 unknown")
    async with post.open():
        await _invited(service)
        await service.settles()
    return await _only_mail(service)


async def mail_that_was_dropped(service: SkippingService, _: Partnership, post: PostOffice) -> Recorded:
    await _invited(service)
    await _attempted(service)
    await service.parts.subscribers.remove("partner-1", ANA)
    async with post.open():
        await service.skip(minutes=20)
        await service.settles()
    return await _only_mail(service)


REAL: tuple[RealPath, ...] = (told,)
"""Paths on a real server, in real time."""

SKIPPING: tuple[SkippingPath, ...] = (
    nothing_to_tell,
    overtaken_by_a_newer_choice,
    told_by_the_newer_choice,
    woken_before_its_time,
    told_when_the_mail_server_was_back,
    dropped_since_the_company_was_lost,
    told_to_a_mailbox_that_does_not_exist,
    mail_that_left,
    mail_that_was_retried,
    mail_that_was_refused,
    mail_that_was_dropped,
)
"""Paths that take long, each on a server of its own that skips time."""

NAMES = frozenset(path.__name__ for path in (*REAL, *SKIPPING))


async def record(names: Collection[str]) -> None:
    """Takes the named paths, each with a database and a server of its own, and writes their histories."""
    for path in REAL:
        if path.__name__ in names:
            await _record_in_real_time(path)
    for skipping_path in SKIPPING:
        if skipping_path.__name__ in names:
            async with time_that_skips() as (skipping, post):
                await _keep(
                    skipping_path.__name__, skipping, await skipping_path(skipping, Partnership(skipping), post)
                )


async def _record_in_real_time(path: RealPath) -> None:
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        database_url = await running.enter_async_context(postgres(folder / "postgres"))
        client = await connect(await running.enter_async_context(dev_server(folder / "temporal.db", free_port())))
        post = PostOffice(folder / "mail")
        service = await running.enter_async_context(real_service(database_url, client, post.port, post.maildir))
        await service.parts.database.migrate()
        handle = await path(service, Partnership(service))
        async with service.working(), post.open():
            await _keep(path.__name__, service, handle)


async def _keep(name: str, service: Service, handle: Recorded) -> None:
    async def heard() -> bool:
        return await service.parts.agenda.outbox_depth() == 0

    await until("Temporal has heard of it", heard)
    await keep(handle, HISTORIES / handle.id.partition("/")[0] / f"{name}.json")


async def _invited(service: Service) -> None:
    """Ana is asked by mail whether she wants to be told; such a mail travels alone."""
    await service.parts.subscribers.put("partner-1", ANA, IMMEDIATE)


async def _frozen(service: SkippingService, partner: Partnership) -> None:
    """The mail server is shut; what is to be told is frozen and has been tried."""
    await partner.subscribe(IMMEDIATE)
    await partner.visits()
    await service.settles()
    await service.skip(minutes=16)
    await _attempted(service)


async def _attempted(service: Service, times: int = 1) -> None:
    async def has_been() -> bool:
        return bool(await service.fetch("SELECT count(*) FROM mails WHERE attempts >= $1 AND state = 'frozen'", times))

    await until("the mail has been tried", has_been)


async def _only_mail(service: Service) -> Recorded:
    return service.client.get_workflow_handle(f"mail/{await service.fetch('SELECT mail_id FROM mails')}")


if __name__ == "__main__":
    run(record, NAMES)
