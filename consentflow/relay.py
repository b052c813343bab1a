"""The relay: takes messages from the outbox to Temporal. Nothing else starts or signals a workflow.

A message is held by a transaction while Temporal is asked; it goes only after Temporal has taken it. So it may be
delivered twice (the relay dies in between) and never lost; every call here is right when repeated.

Several loads are on their way at once, so that the slowest call of one holds up no other. Messages about one matter may
therefore overtake each other, as they may between two relays; whoever is told sees by revisions, or by the record, what
is out of date.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta
from functools import partial

import structlog
from temporalio.client import Client
from temporalio.common import TypedSearchAttributes, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from consentflow import tracing
from consentflow.calls import Call, call_of
from consentflow.domain.clock import Clock
from consentflow.domain.errors import StorageUnavailable
from consentflow.storage import outbox
from consentflow.storage.outbox import Row
from consentflow.storage.pool import Database, Listener

LONGEST_PAUSE = timedelta(seconds=30)
"""The longest a message waits between two tries, and the longest the relay sleeps without having been woken."""

_MESSAGING = {
    "messaging.system": "consentflow",
    "messaging.destination.name": "outbox",
    "messaging.operation.type": "process",
}

_log = structlog.get_logger("consentflow.relay")


class Relay:
    """Carries messages from the outbox to Temporal until it is cancelled.

    Args:
        searchable: Whether Temporal knows our search attributes.
        most: How many messages one load has at most.
        loads: How many loads are on their way at once; each takes a connection of the database.
    """

    def __init__(
        self,
        database: Database,
        client: Client,
        clock: Clock,
        task_queue: str,
        *,
        searchable: bool,
        most: int = 33,
        loads: int = 3,
    ) -> None:
        self._database = database
        self._client = client
        self._clock = clock
        self._task_queue = task_queue
        self._searchable = searchable
        self._most = most
        self._places = asyncio.Semaphore(loads)
        self._under_way: set[asyncio.Task[int]] = set()

    async def run(self) -> None:
        """Delivers as messages come; waits out whatever is down."""
        heard = asyncio.Event()
        listener: Listener | None = None
        try:
            while True:
                try:
                    if listener is None or not listener.alive:
                        listener = await self._database.listen(outbox.CHANNEL, heard)
                    await self._places.acquire()  # meanwhile messages gather for the next load
                    heard.clear()
                    if await self._set_out() < self._most:
                        await _either(heard, timedelta(seconds=1))
                except StorageUnavailable as error:
                    _log.warning("postgres is not there; waiting", error=str(error))
                    await asyncio.sleep(1)
                except Exception as error:  # a relay that ends would hold up everything, unseen
                    _log.exception("unexpected; going on", error=type(error).__name__)
                    await asyncio.sleep(1)
        finally:
            for load in self._under_way:
                load.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            if listener is not None:
                await listener.close()

    async def _set_out(self) -> int:
        """Sends a load on its way, in a place that it gives back; returns how many messages it found ready.

        Raises:
            StorageUnavailable: It could not even look.
        """
        claimed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        load = asyncio.create_task(self.deliver(claimed), name="load")
        self._under_way.add(load)
        load.add_done_callback(partial(self._come_home, claimed))
        await asyncio.wait({load, claimed}, return_when=asyncio.FIRST_COMPLETED)
        return claimed.result() if claimed.done() else await load

    def _come_home(self, claimed: asyncio.Future[int], load: asyncio.Task[int]) -> None:
        self._under_way.discard(load)
        self._places.release()
        if not load.cancelled() and (error := load.exception()) and claimed.done():  # else whoever sent it hears of it
            _log.warning("postgres went away; what was delivered may be again", error=type(error).__name__)

    async def deliver(self, claimed: asyncio.Future[int] | None = None) -> int:
        """Delivers one load of what is ready; returns how many messages Temporal took.

        Args:
            claimed: Told how many there are as soon as they are held.
        """
        async with self._database.transaction() as connection:
            rows = await outbox.claim(connection, self._most)
            if claimed is not None:
                claimed.set_result(len(rows))
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
            with tracing.within(row.trace), tracing.span(f"process {row.topic}", "consumer", _MESSAGING):
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
