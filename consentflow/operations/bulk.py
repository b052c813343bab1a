"""Registrations by the hundred: what a batch and an import hand to the operation that takes registrations."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Final, TypeAlias

from consentflow.domain.errors import Conflict, InvalidInput, StorageUnavailable
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.lines import Row, Unreadable
from consentflow.operations.registrations import MOST_AT_ONCE, Registrations, Taken

SLICE: Final = MOST_AT_ONCE
"""Rows that are handed in together: as many as go in one transaction."""

_AT_ONCE: Final = 2
"""Slices under way at a time in one process, whatever the number of batches: the other connections are for callers
with one registration."""

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0

Result: TypeAlias = Taken | InvalidInput | Conflict | Unreadable | StorageUnavailable
Waiting: TypeAlias = Callable[[StorageUnavailable], object]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a row; `StorageUnavailable` if it was not taken and can be handed in again."""

    row: Row
    result: Result


class Bulk:
    """The operation of taking many registrations."""

    def __init__(self, registrations: Registrations) -> None:
        self._registrations = registrations
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def take(self, rows: Sequence[Row], patience: float, waiting: Waiting = lambda _: None) -> list[Outcome]:
        """Takes what can be taken, in order; one that is refused stops no other.

        Args:
            rows: Some hundred at most: they go in one transaction.
            patience: For how many seconds it is tried again while Postgres is away.
            waiting: Told each time before it is tried again.

        Returns:
            For each row, in order, what became of it.
        """
        requests = [row.said for row in rows if isinstance(row.said, RegistrationIn)]
        results = iter(await self._register(requests, patience, waiting) if requests else ())
        return [Outcome(row, row.said if isinstance(row.said, Unreadable) else next(results)) for row in rows]

    async def _register(
        self, requests: Sequence[RegistrationIn], patience: float, waiting: Waiting
    ) -> Sequence[Result]:
        until, pause = monotonic() + patience, _FIRST_PAUSE
        while True:
            try:
                async with self._gate:
                    return await self._registrations.register_all(requests)
            except StorageUnavailable as error:
                if monotonic() + pause > until:
                    return [error] * len(requests)
                waiting(error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
