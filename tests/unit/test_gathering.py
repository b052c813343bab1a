"""Gathering: what is asked at the same time is done together, and nobody pays for anybody else."""

import asyncio
from collections.abc import Sequence

import pytest

from consentflow.operations.gathering import MOST_SETS, PATIENCE, Collect, Gathering


class Desk:
    """Answers with the double of a number, refuses the odd ones, and notes what it was handed together."""

    def __init__(self, *, most: int = 100) -> None:
        self.sets: list[list[int]] = []
        self.ready, self.open = asyncio.Event(), asyncio.Event()
        self.ready.set()
        self.open.set()
        self.away: Exception | None = None
        self.gathering: Gathering[int, int] = Gathering(self._together, most=most)

    async def _together(self, collect: Collect[int]) -> Sequence[int | Exception]:
        await self.ready.wait()
        if self.away:
            raise self.away
        numbers = list(collect())
        self.sets.append(numbers)
        await self.open.wait()
        return [ValueError(number) if number % 2 else number * 2 for number in numbers]

    async def until_sets(self, number: int) -> None:
        async with asyncio.timeout(10):
            while len(self.sets) < number:
                await asyncio.sleep(0)

    async def impatient(self) -> None:
        """Returns when nobody that comes now would wait for the set that is under way."""
        passed = asyncio.Event()
        asyncio.get_running_loop().call_later(PATIENCE, passed.set)  # it was set later than the other one
        await passed.wait()

    def ask(self, *numbers: int) -> list[asyncio.Task[int]]:
        return [asyncio.create_task(self.gathering.ask(number)) for number in numbers]


async def outcomes(tasks: list[asyncio.Task[int]]) -> list[object]:
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return [type(each) if isinstance(each, BaseException) else each for each in results]


async def test_each_gets_its_own_answer_or_error() -> None:
    assert await outcomes(Desk().ask(2, 3, 4)) == [4, ValueError, 8]


async def test_whoever_asks_while_a_set_is_under_way_is_in_the_next() -> None:
    desk = Desk()
    desk.open.clear()
    tasks = desk.ask(2)
    await desk.until_sets(1)
    tasks += desk.ask(4, 6, 8)
    await asyncio.sleep(0)
    desk.open.set()
    assert await outcomes(tasks) == [4, 8, 12, 16]
    assert desk.sets == [[2], [4, 6, 8]]


async def test_whoever_asks_before_a_set_is_collected_comes_along() -> None:
    desk = Desk()
    desk.ready.clear()
    tasks = desk.ask(2)
    for number in (4, 6):
        await asyncio.sleep(0)
        tasks += desk.ask(number)
    await asyncio.sleep(0)
    desk.ready.set()
    assert await outcomes(tasks) == [4, 8, 12]
    assert desk.sets == [[2, 4, 6]]


async def test_a_set_has_a_largest_size() -> None:
    desk = Desk(most=2)
    assert await outcomes(desk.ask(2, 4, 6, 8, 10)) == [4, 8, 12, 16, 20]
    assert desk.sets == [[2, 4], [6, 8], [10]]


async def test_whoever_stops_waiting_harms_nobody_else() -> None:
    desk = Desk()
    desk.open.clear()
    under_way = desk.ask(2, 4)
    await desk.until_sets(1)
    waiting = desk.ask(6, 8)
    await asyncio.sleep(0)
    under_way[0].cancel()
    waiting[0].cancel()
    await asyncio.sleep(0)
    desk.open.set()
    assert await outcomes(under_way + waiting) == [asyncio.CancelledError, 8, asyncio.CancelledError, 16]
    assert desk.sets == [[2, 4], [8]]


async def test_what_the_desk_itself_raises_goes_to_everybody_and_the_next_are_served_again() -> None:
    desk = Desk()
    desk.away = ConnectionError()
    assert await outcomes(desk.ask(2, 4)) == [ConnectionError, ConnectionError]
    desk.away = None
    assert await outcomes(desk.ask(6)) == [12]


async def test_a_set_that_is_held_up_holds_up_nobody_else() -> None:
    desk = Desk()
    desk.open.clear()
    held_up = desk.ask(2)
    await desk.until_sets(1)
    others = []
    for number in range(1, MOST_SETS):
        others += desk.ask(number * 4)
        await desk.until_sets(number + 1)
    assert desk.sets == [[2], [4], [8], [12]]
    others += desk.ask(6, 10)  # there is no room for another set
    desk.open.set()
    assert await outcomes(held_up + others) == [4, 8, 16, 24, 12, 20]
    assert desk.sets[4:] == [[6, 10]]


async def test_whoever_comes_when_patience_is_lost_already_waits_no_longer() -> None:
    desk = Desk()
    desk.open.clear()
    held_up = desk.ask(2)
    await desk.until_sets(1)
    await desk.impatient()
    others = desk.ask(4)
    await desk.until_sets(2)
    desk.open.set()
    assert await outcomes(held_up + others) == [4, 8]
    assert await outcomes(desk.ask(6)) == [12]
    assert desk.sets == [[2], [4], [6]]


async def test_a_desk_that_forgets_somebody_is_found_out() -> None:
    async def forgetful(collect: Collect[int]) -> Sequence[int | Exception]:
        collect()
        return []

    gathering: Gathering[int, int] = Gathering(forgetful, most=10)
    with pytest.raises(ValueError, match="shorter"):
        await gathering.ask(1)
