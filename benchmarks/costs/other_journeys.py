"""Everything else that the service does by way of Temporal: mails, notifications, sign-ins, requests, daily work."""

import secrets
from datetime import timedelta

from temporalio.client import WorkflowExecutionStatus

from benchmarks.costs.watch import Journey, Watch, address_of_somebody
from consentflow.domain.letters import Language
from consentflow.domain.partners import Choice
from consentflow.domain.sign_in import Door
from consentflow.schedules import CHECKPOINT, RETENTION, VERIFICATION
from tests.workflow.service import SkippingService, until
from tests.workflow.test_digests import DAILY, IMMEDIATE, Partnership
from tests.workflow.test_source_requests import Requests, officer, passes_until

SOON = timedelta(seconds=4)
PARTNER = "partner-1"


async def mail_of_its_own(watch: Watch) -> list[str]:
    """A mail of its own.

    A subscriber is asked to confirm.
    """
    address = f"ines-{secrets.token_hex(4)}@partner.example"
    async with watch.service.working():
        await watch.service.register("US", address=address_of_somebody())
        await watch.begins()
        await watch.service.parts.subscribers.put(PARTNER, address, IMMEDIATE)
        await watch.mail_to(address)
        await watch.service.settles()
    return []


async def digest_immediate(watch: Watch) -> list[str]:
    """Notification at once."""
    return await _digest(watch, IMMEDIATE)


async def digest_daily(watch: Watch) -> list[str]:
    """Notification once a day."""
    return await _digest(watch, DAILY)


async def _digest(watch: Watch, choice: Choice) -> list[str]:
    partner = Partnership(watch.service)
    async with watch.service.working():
        await partner.subscribe(choice, f"ana-{secrets.token_hex(4)}@partner.example")
        await watch.begins()
    await partner.visits()
    await partner.is_due_in(seconds=SOON.total_seconds())
    async with watch.service.working():
        await partner.ends()
        await watch.service.settles()
    return [f"digest/{await partner.digest_id()}"]


async def sign_in(watch: Watch) -> list[str]:
    """Signing in."""
    address = f"ana-{secrets.token_hex(4)}@partner.example"
    async with watch.service.working():
        await watch.service.register("US", address=address_of_somebody(), registered_by=address)
        await watch.begins()
        asked_as = await watch.service.parts.sessions.ask(Door.PARTNER, address, Language.GERMAN)
        await watch.mail_to(address)
        await watch.service.settles()
        await watch.service.client.get_workflow_handle(f"sign-in/{asked_as}").result()
    return [f"sign-in/{asked_as}"]


async def source_request(watch: Watch) -> list[str]:
    """Data-source request, answered at once.

    Confirmed and decided on the day it came.
    """
    address = address_of_somebody()
    async with officer(watch.service) as requests, watch.service.working():
        await watch.service.register("US", address=address)
        await watch.begins()
        request_id = await requests.confirmed(address)
        await requests.decide(request_id)
        return await _answered(watch, requests, request_id)


async def source_request_over_its_deadlines(watch: Watch) -> list[str]:
    """Data-source request, answered on the last day.

    Reminded of each time, on the engine that skips time.
    """
    service = watch.service
    assert isinstance(service, SkippingService)  # noqa: S101 - no other can go there
    address = address_of_somebody()
    async with officer(service) as requests:
        await service.register("US", address=address)
        await watch.begins()
        request_id = await requests.confirmed(address)
        await passes_until(service, (await requests.standing(request_id)).term.deadline_day)
        await requests.decide(request_id)
        return await _answered(watch, requests, request_id)


async def _answered(watch: Watch, requests: Requests, request_id: str) -> list[str]:
    await requests.ends(request_id)
    await watch.service.settles()
    return [f"source-request/{request_id}"]


async def checkpoint(watch: Watch) -> list[str]:
    """Ledger checkpoint, daily."""
    return await _scheduled(watch, CHECKPOINT)


async def verification(watch: Watch) -> list[str]:
    """Ledger verification, daily."""
    return await _scheduled(watch, VERIFICATION)


async def retention_sweep(watch: Watch) -> list[str]:
    """Retention sweep, daily."""
    return await _scheduled(watch, RETENTION)


async def _scheduled(watch: Watch, name: str) -> list[str]:
    client, queue = watch.service.client, watch.service.parts.settings.temporal.task_queue
    await watch.begins()
    async with watch.service.working():
        await client.get_schedule_handle(name).trigger()

        async def completed() -> list[str]:
            runs = client.list_workflows(f"TaskQueue = '{queue}' AND WorkflowType = '{name}'")
            return [run.id async for run in runs if run.status is WorkflowExecutionStatus.COMPLETED]

        found = await until(f"{name} is done", completed)
        await watch.service.settles()
    return found[:1]


OTHERS: tuple[Journey, ...] = (
    mail_of_its_own,
    digest_immediate,
    digest_daily,
    sign_in,
    source_request,
    checkpoint,
    verification,
    retention_sweep,
)
"""On the dev server."""

SKIPPING: tuple[Journey, ...] = (source_request_over_its_deadlines,)
"""On the engine that skips time."""
