"""Reading ahead: files block, so they are read by a thread while the database works."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import suppress
from typing import Final, TypeVar

_AHEAD: Final = 2

T = TypeVar("T")


async def read_ahead(blocking: Iterator[T]) -> AsyncGenerator[T, None]:
    """What the iterator gives, taken from it by a thread that is never more than a little ahead.

    Nobody waits for the thread at the end: it may be blocked for ever by a pipe that brings nothing.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[tuple[T | None, BaseException | None]] = asyncio.Queue()
    room, stopped = threading.Semaphore(_AHEAD), threading.Event()

    def hand_over(item: T | None, error: BaseException | None) -> None:
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(waiting.put_nowait, (item, error))

    def read() -> None:
        try:
            for item in blocking:
                room.acquire()
                if stopped.is_set():
                    return
                hand_over(item, None)
        except BaseException as error:
            hand_over(None, error)
        else:
            hand_over(None, StopAsyncIteration())

    threading.Thread(target=read, name="reading ahead", daemon=True).start()
    try:
        while True:
            item, error = await waiting.get()
            if isinstance(error, StopAsyncIteration):
                return
            if error is not None:
                raise error
            room.release()
            assert item is not None  # noqa: S101 - either of the two is there
            yield item
    finally:
        stopped.set()
        room.release()
