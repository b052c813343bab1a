"""Stopping in good order."""

import asyncio
import signal


async def until_stopped() -> None:
    """Returns at the first SIGINT or SIGTERM; from then on a second one ends the process the hard way."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.remove_signal_handler(number)
