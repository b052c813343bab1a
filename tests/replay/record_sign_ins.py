"""Records the histories of links to sign in that `test_replay_sign_ins.py` replays, one of every path.

Run ``python -m tests.replay.record_sign_ins``, or name the paths to record anew; `recording` says when to.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import TypeAlias

from tests.replay.recording import HISTORIES, Recorded, keep, run, time_that_skips
from tests.workflow.service import PostOffice, SkippingService
from tests.workflow.test_sign_in import ANA, NOBODY, Asking

SignInPath: TypeAlias = Callable[[SkippingService, PostOffice, Asking], Awaitable[Recorded]]


async def mailed(_: SkippingService, post: PostOffice, asking: Asking) -> Recorded:
    async with post.open():
        return await _ended(await asking.by(ANA))


async def not_known(_: SkippingService, post: PostOffice, asking: Asking) -> Recorded:
    async with post.open():
        return await _ended(await asking.by(NOBODY))


async def mailed_when_the_mail_server_was_back(service: SkippingService, post: PostOffice, asking: Asking) -> Recorded:
    answering = await asking.by(ANA)
    await asking.is_tried()
    async with post.open():
        await service.skip(minutes=16)
        return await _ended(answering)


async def too_late(service: SkippingService, post: PostOffice, asking: Asking) -> Recorded:
    answering = await asking.by(ANA)
    await asking.is_tried()
    async with post.open():
        await service.skip(minutes=21)
        return await _ended(answering)


async def _ended(answering: Recorded) -> Recorded:
    await answering.result()
    return answering


PATHS: tuple[SignInPath, ...] = (mailed, not_known, mailed_when_the_mail_server_was_back, too_late)
NAMES = frozenset(path.__name__ for path in PATHS)


async def record(names: Collection[str]) -> None:
    """Takes the named paths, each with a database and a server of its own, and writes their histories."""
    for path in PATHS:
        if path.__name__ in names:
            async with time_that_skips() as (skipping, post):
                await skipping.register("US", registered_by=ANA)
                await skipping.settles()
                answered = await path(skipping, post, Asking(skipping))
                await keep(answered, HISTORIES / "sign_in" / f"{path.__name__}.json")


if __name__ == "__main__":
    run(record, NAMES)
