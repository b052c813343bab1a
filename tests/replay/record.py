"""Records the histories that `test_replay.py` replays: one of every path a registration can take.

Run ``python -m tests.replay.record`` at the root of the repository, or name the paths to record anew; `recording` says
when to.
"""

import tempfile
from collections.abc import Awaitable, Callable, Collection
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from consentflow.dev.postgres import postgres
from consentflow.dev.temporal import connect, dev_server, free_port
from tests.replay.recording import HISTORIES, keep, run, time_that_skips
from tests.workflow.service import TIMER_STARTED, PostOffice, Service, SkippingService, real_service

RealPath: TypeAlias = Callable[[Service], Awaitable[str]]
SkippingPath: TypeAlias = Callable[[SkippingService, PostOffice], Awaitable[str]]


async def no_contact(service: Service) -> str:
    return await service.register("US", address="no-contact@lead.example")


async def satisfied_while_delayed(service: Service) -> str:
    registration = await service.register("FR", address="satisfied@lead.example")
    await service.settles()
    await service.tell("opted_in", "satisfied@lead.example")
    return registration


async def satisfied_while_waiting_in_the_workflow(service: Service) -> str:
    registration = await service.register("US", address="early@lead.example")
    await service.ends(registration)
    await service.parts.registrations.correct_location(registration, "FR")
    await service.comes_to(registration, TIMER_STARTED)
    await service.tell("form_submitted", "early@lead.example")
    return registration


async def notified(service: Service) -> str:
    nearly_due = service.parts.clock.now() - timedelta(days=30) + timedelta(seconds=3)
    return await service.register("FR", address="notified@lead.example", registered_at=nearly_due)


async def confirmed(service: Service) -> str:
    registration = await service.register("DE", address="confirmed@lead.example")
    await _is_asked(service, registration)
    await _press(service, "confirmed@lead.example")
    return registration


async def joined_question(service: Service) -> str:
    await service.register("DE", address="joined@lead.example", partner="partner-1")
    joining = await service.register("DE", address="joined@lead.example", partner="partner-2")
    await _is_asked(service, joining)
    await _press(service, "joined@lead.example")
    return joining


async def withdrawn_while_delayed(service: Service) -> str:
    registration = await service.register("FR", address="withdrawn@lead.example")
    await service.settles()
    await service.parts.registrations.withdraw(registration)
    return registration


async def withdrawn_while_asked(service: Service) -> str:
    registration = await service.register("DE", address="withdrawn-asked@lead.example")
    await _is_asked(service, registration)
    await service.parts.registrations.withdraw(registration)
    return registration


async def suppressed_while_delayed(service: Service) -> str:
    registration = await service.register("FR", address="suppressed@lead.example")
    await service.settles()
    await service.tell("objected", "suppressed@lead.example")
    return registration


async def suppressed_while_asked(service: Service) -> str:
    registration = await service.register("AT", address="suppressed-asked@lead.example")
    await _is_asked(service, registration)
    await service.tell("objected", "suppressed-asked@lead.example")
    return registration


async def corrected_to_double_opt_in(service: Service) -> str:
    registration = await service.register(None, address="corrected@lead.example")
    await service.settles()
    await service.parts.registrations.correct_location(registration, "DE")
    await _is_asked(service, registration)
    await _press(service, "corrected@lead.example")
    return registration


async def corrected_to_no_contact(service: Service) -> str:
    registration = await service.register(None, address="corrected-away@lead.example")
    await service.settles()
    await service.parts.registrations.correct_location(registration, "US")
    return registration


async def lapsed(service: SkippingService, post: PostOffice) -> str:
    async with post.open():
        registration = await service.register("CH", address="lapsed@lead.example")
        await service.settles()
        await service.advance(days=31)
    return registration


async def corrected_from_no_contact_and_notified(service: SkippingService, post: PostOffice) -> str:
    async with post.open():
        registration = await service.register("US", address="corrected-late@lead.example")
        await service.ends(registration)
        await service.parts.registrations.correct_location(registration, "FR")
        await service.settles()
        await service.advance(days=31)
    return registration


async def retried_sending(service: SkippingService, post: PostOffice) -> str:
    registration = await service.register("DE", address="retried@lead.example")
    await service.attempted(registration)
    post.answers.append("451 4.7.1 greylisted")
    async with post.open():
        await service.skip(seconds=4)
        await service.attempted(registration, times=2)
        await service.skip(minutes=7)
        await service.settles()
        await _is_asked(service, registration)
        await _press(service, "retried@lead.example")
    return registration


async def undeliverable(service: SkippingService, post: PostOffice) -> str:
    post.answers.append("550 5.1.1 unknown")
    async with post.open():
        registration = await service.register("DE", address="undeliverable@lead.example")
        await service.ends(registration)
    return registration


async def corrected_to_delayed_notice_while_the_mail_could_not_leave(service: SkippingService, post: PostOffice) -> str:
    registration = await service.register("DE", address="corrected-in-time@lead.example")
    await service.attempted(registration)
    await service.parts.registrations.correct_location(registration, "FR")
    async with post.open():
        await service.skip(minutes=30)
        await service.advance(days=31)
    return registration


REAL: tuple[RealPath, ...] = (
    no_contact,
    satisfied_while_delayed,
    satisfied_while_waiting_in_the_workflow,
    notified,
    confirmed,
    joined_question,
    withdrawn_while_delayed,
    withdrawn_while_asked,
    suppressed_while_delayed,
    suppressed_while_asked,
    corrected_to_double_opt_in,
    corrected_to_no_contact,
)
"""Paths on a real server, in real time."""

SKIPPING: tuple[SkippingPath, ...] = (
    lapsed,
    corrected_from_no_contact_and_notified,
    retried_sending,
    undeliverable,
    corrected_to_delayed_notice_while_the_mail_could_not_leave,
)
"""Paths that take long, each on a server of its own that skips time."""

PATHS = frozenset(path.__name__ for path in (*REAL, *SKIPPING))


async def record(names: Collection[str]) -> None:
    """Takes the named paths, and writes the history of each one's last run."""
    async with AsyncExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        database_url = await running.enter_async_context(postgres(folder / "postgres"))
        client = await connect(await running.enter_async_context(dev_server(folder / "temporal.db", free_port())))
        post = PostOffice(folder / "mail")
        async with real_service(database_url, client, post.port, post.maildir) as service:
            await service.parts.database.migrate()
            async with service.working(), post.open():
                for path in REAL:
                    if path.__name__ in names:
                        await _keep(path.__name__, service, await path(service))
    for skipping_path in SKIPPING:
        if skipping_path.__name__ in names:
            async with time_that_skips() as (skipping, post):
                await _keep(skipping_path.__name__, skipping, await skipping_path(skipping, post))


async def _is_asked(service: Service, registration: str) -> None:
    await service.comes_to(registration, TIMER_STARTED)


async def _press(service: Service, address: str) -> None:
    (mail,) = [mail for mail in service.mails() if mail.to == address]
    await service.press(mail)


async def _keep(name: str, service: Service, registration: str) -> None:
    await service.ends(registration)
    await keep(
        service.client.get_workflow_handle(f"registration/{registration}"), HISTORIES / "registration" / f"{name}.json"
    )


if __name__ == "__main__":
    run(record, PATHS)
