"""The relay: takes messages from the outbox to Temporal. Nothing else starts or signals a workflow.

A message is held by a transaction while Temporal is asked; it goes only after Temporal has taken it. So it may be
delivered twice (the relay dies in between) and never lost; every call here is right when repeated.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta

import structlog
from temporalio.client import Client
from temporalio.common import (
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from consentflow.domain.clock import Clock
from consentflow.domain.errors import StorageUnavailable
from consentflow.domain.registrations import Course, Step
from consentflow.storage import outbox
from consentflow.storage.outbox import Payload, Row
from consentflow.storage.pool import Database, Listener
from consentflow.workflows.digest import DigestOrder, DigestWorkflow
from consentflow.workflows.mail import MailOrder, MailWorkflow
from consentflow.workflows.registration import RegistrationOrder, RegistrationWorkflow
from consentflow.workflows.sign_in import SignInOrder, SignInWorkflow
from consentflow.workflows.source_request import SourceRequestOrder, SourceRequestWorkflow

REGIME = SearchAttributeKey.for_keyword("Regime")
KIND = SearchAttributeKey.for_keyword("RegistrationKind")
DUE_AT = SearchAttributeKey.for_datetime("DueAt")
SEARCH_ATTRIBUTES = (REGIME, KIND, DUE_AT)

LONGEST_PAUSE = timedelta(seconds=30)
"""The longest a message waits between two tries, and the longest the relay sleeps without having been woken."""

_log = structlog.get_logger("consentflow.relay")


class Relay:
    """Carries messages from the outbox to Temporal until it is cancelled.

    Args:
        searchable: Whether Temporal knows our search attributes.
        most: How many messages are in flight at once.
    """

    def __init__(
        self, database: Database, client: Client, clock: Clock, task_queue: str, *, searchable: bool, most: int = 100
    ) -> None:
        self._database = database
        self._client = client
        self._clock = clock
        self._task_queue = task_queue
        self._searchable = searchable
        self._most = most
        self._topics: Mapping[str, Callable[[Payload], Awaitable[None]]] = {
            "registration.start": self._start_registration,
            "registration.steer": self._steer_registration,
            "mail.send": self._send_mail,
            "digest.start": self._start_digest,
            "sign_in.asked": self._answer_sign_in,
            "source_request.start": self._start_source_request,
            "source_request.nudge": self._nudge_source_request,
        }

    async def run(self) -> None:
        """Delivers as messages come; waits out whatever is down."""
        heard = asyncio.Event()
        listener: Listener | None = None
        try:
            while True:
                try:
                    if listener is None or not listener.alive:
                        listener = await self._database.listen(outbox.CHANNEL, heard)
                    heard.clear()
                    if await self.deliver() == 0:
                        await _either(heard, timedelta(seconds=1))
                except StorageUnavailable as error:
                    _log.warning("postgres is not there; waiting", error=str(error))
                    await asyncio.sleep(1)
                except Exception as error:  # a relay that ends would hold up everything, unseen
                    _log.exception("unexpected; going on", error=type(error).__name__)
                    await asyncio.sleep(1)
        finally:
            if listener is not None:
                await listener.close()

    async def deliver(self) -> int:
        """Delivers what is ready, up to the most in flight; returns how many messages Temporal took."""
        async with self._database.transaction() as connection:
            rows = await outbox.claim(connection, self._most)
            if not rows:
                return 0
            taken = await asyncio.gather(*(self._deliver(row) for row in rows))
            done = [row.outbox_id for row, ok in zip(rows, taken, strict=True) if ok]
            await outbox.delivered(connection, done)
            for row, ok in zip(rows, taken, strict=True):
                if not ok:
                    await outbox.postpone(connection, [row.outbox_id], _pause(row.attempts))
            return len(done)

    async def _deliver(self, row: Row) -> bool:
        try:
            await self._topics[row.topic](row.payload)
        except RPCError as error:
            _log.warning("temporal did not take a message", topic=row.topic, status=error.status.name)
            return False
        except Exception as error:  # what this version cannot read (a newer one may) holds up no other message
            _log.error("a message cannot be delivered", topic=row.topic, error=type(error).__name__)
            return False
        return True

    async def _start_registration(self, payload: Payload) -> None:
        order = _order(payload)
        now = self._clock.now()
        wait = order.course.at - now if order.course.at and order.course.at > now else None
        with suppress(WorkflowAlreadyStartedError):  # delivered before, or a later course has begun the run already
            await self._client.start_workflow(
                RegistrationWorkflow.run,
                order,
                id=_workflow_id(order),
                task_queue=self._task_queue,
                start_delay=wait,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=self._search_attributes(payload, order.course),
                static_summary=_summary(payload, order.course),
            )

    async def _steer_registration(self, payload: Payload) -> None:
        order = _order(payload)
        await self._client.start_workflow(
            RegistrationWorkflow.run,
            order,
            id=_workflow_id(order),
            task_queue=self._task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal="steer",
            start_signal_args=[order.course],
            search_attributes=self._search_attributes(payload, order.course),
            static_summary=_summary(payload, order.course),
        )

    async def _send_mail(self, payload: Payload) -> None:
        mail_id = str(payload["mail_id"])
        with suppress(WorkflowAlreadyStartedError):
            await self._client.start_workflow(
                MailWorkflow.run,
                MailOrder(mail_id),
                id=f"mail/{mail_id}",
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )

    async def _answer_sign_in(self, payload: Payload) -> None:
        sign_in_id = str(payload["sign_in_id"])
        with suppress(WorkflowAlreadyStartedError):
            await self._client.start_workflow(
                SignInWorkflow.run,
                SignInOrder(sign_in_id),
                id=f"sign-in/{sign_in_id}",
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )

    async def _start_digest(self, payload: Payload) -> None:
        order = DigestOrder(str(payload["digest_id"]), int(payload["revision"] or 0))
        due_at = datetime.fromisoformat(str(payload["due_at"]))
        wait = due_at - self._clock.now()
        with suppress(WorkflowAlreadyStartedError):
            await self._client.start_workflow(
                DigestWorkflow.run,
                order,
                id=f"digest/{order.digest_id}" + (f"/{order.revision}" if order.revision else ""),
                task_queue=self._task_queue,
                start_delay=wait if wait > timedelta() else None,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=f"digest: due at {due_at:%Y-%m-%d %H:%M} UTC",
            )

    async def _start_source_request(self, payload: Payload) -> None:
        request_id = str(payload["request_id"])
        with suppress(WorkflowAlreadyStartedError):
            await self._client.start_workflow(
                SourceRequestWorkflow.run,
                SourceRequestOrder(request_id),
                id=f"source-request/{request_id}",
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary="a data-source request",
            )

    async def _nudge_source_request(self, payload: Payload) -> None:
        request_id = str(payload["request_id"])
        await self._client.start_workflow(
            SourceRequestWorkflow.run,
            SourceRequestOrder(request_id),
            id=f"source-request/{request_id}",
            task_queue=self._task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal="nudge",
            static_summary="a data-source request",
        )

    def _search_attributes(self, payload: Payload, course: Course) -> TypedSearchAttributes:
        if not self._searchable:
            return TypedSearchAttributes.empty
        pairs: list[SearchAttributePair[str] | SearchAttributePair[datetime]] = [
            SearchAttributePair(REGIME, str(payload["regime"])),
            SearchAttributePair(KIND, str(payload["kind"])),
        ]
        if course.at:
            pairs.append(SearchAttributePair(DUE_AT, course.at))
        return TypedSearchAttributes(pairs)


def _order(payload: Payload) -> RegistrationOrder:
    at = payload["at"]
    course = Course(
        revision=int(payload["revision"] or 0),
        step=Step(str(payload["step"])),
        at=datetime.fromisoformat(at) if isinstance(at, str) else None,
    )
    return RegistrationOrder(str(payload["registration_id"]), course)


def _workflow_id(order: RegistrationOrder) -> str:
    return f"registration/{order.registration_id}"


def _summary(payload: Payload, course: Course) -> str:
    when = f" at {course.at:%Y-%m-%d %H:%M} UTC" if course.at else ""
    return f"{payload['regime']}: {course.step.value}{when}"


def _pause(attempts: int) -> timedelta:
    return min(timedelta(seconds=0.5 * 2 ** min(attempts, 10)), LONGEST_PAUSE)


async def _either(heard: asyncio.Event, most: timedelta) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(most.total_seconds()):
            await heard.wait()
