"""Taking the rows of a file, slice by slice."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, suppress
from itertools import islice
from typing import Final

from consentflow.domain.errors import StorageUnavailable
from consentflow.domain.lines import Row
from consentflow.importing.ahead import read_ahead
from consentflow.importing.refusals import Told, refusals_of
from consentflow.importing.showing import Showing
from consentflow.importing.tally import Ending, Tally
from consentflow.operations.bulk import SLICE, Outcome
from consentflow.operations.registrations import Taken
from consentflow.runtime import Parts
from consentflow.signals import until_stopped

PATIENCE: Final = 120.0
"""Seconds for which Postgres may be away before an import gives up."""


async def bring_in(parts: Parts, rows: Iterator[Row], told: Told, showing: Showing) -> Tally:
    """Takes rows until there are no more, somebody interrupts, or Postgres stays away.

    Raises:
        UnicodeError: The rest of the file cannot be read.
    """
    tally = Tally()
    stopping = asyncio.create_task(_until_stopped())

    def waiting(error: StorageUnavailable) -> None:
        if stopping.done():
            raise _StoppedError
        showing.away(error)

    async with parts.database, aclosing(read_ahead(_slices(rows))) as slices:
        try:
            while some := await _next(slices, stopping):
                outcomes = await parts.bulk.take(some, PATIENCE, waiting)
                if any(isinstance(each.result, StorageUnavailable) for each in outcomes):
                    tally.ending = Ending.STORAGE_AWAY
                    break
                _count(outcomes, tally, told)
                showing.advance(tally)
        except _StoppedError:
            tally.ending = Ending.STOPPED
        finally:
            stopping.cancel()
    return tally


class _StoppedError(Exception):
    """Somebody interrupts."""


def _slices(rows: Iterator[Row]) -> Iterator[Sequence[Row]]:
    return iter(lambda: tuple(islice(rows, SLICE)), ())


async def _next(slices: AsyncGenerator[Sequence[Row], None], stopping: asyncio.Task[None]) -> Sequence[Row]:
    coming = asyncio.create_task(_following(slices))
    await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if stopping.done():
        coming.cancel()
        with suppress(asyncio.CancelledError):
            await coming
        raise _StoppedError
    return coming.result()


async def _following(slices: AsyncGenerator[Sequence[Row], None]) -> Sequence[Row]:
    try:
        return await anext(slices)
    except StopAsyncIteration:
        return ()


def _count(outcomes: Sequence[Outcome], tally: Tally, told: Told) -> None:
    for outcome in outcomes:
        if refusals := refusals_of(outcome):
            tally.refused += 1
            told(refusals)
        elif isinstance(outcome.result, Taken) and outcome.result.new:
            tally.new += 1
        else:
            tally.before += 1
        tally.line = outcome.row.number


async def _until_stopped() -> None:
    if threading.current_thread() is threading.main_thread():  # signals reach no other
        await until_stopped()
    else:
        await asyncio.Event().wait()
