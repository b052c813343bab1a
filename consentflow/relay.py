"""The relay: takes messages from the outbox to Temporal. Nothing else starts or signals a workflow.

A message is held by a transaction while Temporal is asked; it goes only after Temporal has taken it. So it may be
delivered twice (the relay dies in between) and never lost; every call here is right when repeated.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.common import TypedSearchAttributes, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from consentflow.calls import Call, call_of
from consentflow.domain.clock import Clock
from consentflow.domain.errors import StorageUnavailable
from consentflow.storage import outbox
from consentflow.storage.outbox import Row
from consentflow.storage.pool import Database, Listener

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
            await self._make(call_of(row.topic, row.payload))
        except RPCError as error:
            _log.warning("temporal did not take a message", topic=row.topic, status=error.status.name)
            return False
        except Exception as error:  # what this version cannot read (a newer one may) holds up no other message
            _log.error("a message cannot be delivered", topic=row.topic, error=type(error).__name__)
            return False
        return True

    async def _make(self, call: Call) -> None:
        begins_at, now = call.begins_at, self._clock.now()
        searchable = TypedSearchAttributes(call.searchable if self._searchable else ())
        if call.signal is not None:
            await self._client.start_workflow(
                call.run,
                args=[call.order],
                id=call.workflow_id,
                task_queue=self._task_queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal=call.signal,
                start_signal_args=call.told,
                search_attributes=searchable,
                static_summary=call.summary,
            )
            return
        with suppress(WorkflowAlreadyStartedError):  # delivered before, or a signal has begun the run already
            await self._client.start_workflow(
                call.run,
                args=[call.order],
                id=call.workflow_id,
                task_queue=self._task_queue,
                start_delay=begins_at - now if begins_at and begins_at > now else None,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=searchable,
                static_summary=call.summary,
            )


def _pause(attempts: int) -> timedelta:
    return min(timedelta(seconds=0.5 * 2 ** min(attempts, 10)), LONGEST_PAUSE)


async def _either(heard: asyncio.Event, most: timedelta) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(most.total_seconds()):
            await heard.wait()
