"""Gathering: what many callers ask for at the same time is done together.

Nobody waits for a timer. What is asked while nothing is under way is begun at once; what is asked while that is under
way waits for its end and is then done together.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context
from typing import Generic, TypeAlias, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")

Collect: TypeAlias = Callable[[], Sequence[Asked]]
Together: TypeAlias = Callable[[Collect[Asked]], Awaitable[Sequence[Answer | Exception]]]

PATIENCE = 0.1
"""Seconds after which a set is no longer waited for, and the next is begun beside it: it may be held up by a lock."""

MOST_SETS = 4
"""Sets that may be under way beside each other."""


class Gathering(Generic[Asked, Answer]):
    """Does together what is asked by many.

    Args:
        together: Makes ready, collects what is asked (once: whoever asks until then comes along) and answers each of
            them, in order, with an answer or with an error of its own. What it raises itself is everybody's answer.
        most: How many it is handed at once.
    """

    def __init__(self, together: Together[Asked, Answer], *, most: int) -> None:
        self._together = together
        self._most = most
        self._waiting: deque[tuple[Asked, asyncio.Future[Answer]]] = deque()
        self._at_work: list[asyncio.Task[None]] = []
        self._awaited: asyncio.Task[None] | None = None
        """Of those at work the one whose set is worth waiting for."""

    async def ask(self, asked: Asked) -> Answer:
        """Waits for the answer. Whoever stops waiting harms nobody else; what is under way is done all the same."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((asked, answer))
        if self._nobody_awaited:
            self._begin()
        return await answer

    @property
    def _nobody_awaited(self) -> bool:
        return self._awaited is None or self._awaited.done()

    def _begin(self) -> None:
        self._at_work = [task for task in self._at_work if not task.done()]
        if self._waiting and len(self._at_work) < MOST_SETS:
            self._awaited = asyncio.create_task(self._work(), name="gathering", context=Context())
            self._at_work.append(self._awaited)

    def _lose_patience(self, task: asyncio.Task[None]) -> None:
        if self._awaited is task:
            self._awaited = None
            self._begin()

    async def _work(self) -> None:
        this = asyncio.current_task()
        assert this  # noqa: S101 - made in `_begin`
        while self._awaited is this and self._drop_the_gone():
            impatience = asyncio.get_running_loop().call_later(PATIENCE, self._lose_patience, this)
            try:
                await self._do_a_set()
            finally:
                impatience.cancel()
            if self._nobody_awaited:
                self._awaited = this

    async def _do_a_set(self) -> None:
        collected: list[tuple[Asked, asyncio.Future[Answer]]] = []

        def collect() -> Sequence[Asked]:
            while self._drop_the_gone() and len(collected) < self._most:
                collected.append(self._waiting.popleft())
            return [asked for asked, _ in collected]

        try:
            answers = await self._together(collect)
            answered = list(zip(collected, answers, strict=True))
        except Exception as error:
            collected or collect()  # it did not come to asking them
            answered = [(each, error) for each in collected]
        for (_, future), answer in answered:
            _settle(future, answer)

    def _drop_the_gone(self) -> bool:
        """Forgets who has stopped waiting; says whether anybody is left."""
        while self._waiting and self._waiting[0][1].done():
            self._waiting.popleft()
        return bool(self._waiting)


def _settle(future: "asyncio.Future[Answer]", answer: Answer | Exception) -> None:
    if future.done():  # nobody waits for it any more
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
