"""The one clock of the development stack when time can be skipped."""

import asyncio
import json
from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from temporalio.api.testservice.v1 import SleepRequest
from temporalio.client import Client

from consentflow.api.auth import requires
from consentflow.api.problems import problem
from consentflow.domain.clock import SystemClock
from consentflow.operations.agenda import Agenda
from consentflow.operations.keys import Role

router = APIRouter(prefix="/dev", tags=["development"])

_TOGETHER = timedelta(minutes=1)
"""What is due within this long of each other is handled in one step."""

_PATIENCE_SECONDS = 60


class SteppedClock:
    """The machine's clock, moved forward by steps; remembers its position in a file.

    Args:
        memory: Where the position is kept between runs.
    """

    def __init__(self, memory: Path) -> None:
        self._system = SystemClock()
        self._memory = memory
        self.ahead = timedelta()
        if memory.exists():
            self.ahead = timedelta(seconds=json.loads(memory.read_text())["ahead_seconds"])

    def now(self) -> datetime:
        """The present instant of the stack, in UTC."""
        return self._system.now() + self.ahead

    def move(self, by: timedelta) -> None:
        """Moves forward, for good."""
        self.ahead += by
        self._memory.write_text(json.dumps({"ahead_seconds": self.ahead.total_seconds()}))


class TimeMachine:
    """Moves the stack's clock and Temporal's together, stopping wherever something is due."""

    def __init__(self, clock: SteppedClock, client: Client, agenda: Agenda) -> None:
        self._clock = clock
        self._client = client
        self._agenda = agenda
        self._one_at_a_time = asyncio.Lock()

    async def catch_up(self) -> None:
        """Takes a freshly started engine to where the clock already is."""
        await self._skip(self._clock.ahead)

    async def advance(self, by: timedelta) -> int:
        """Moves forward; returns how much that became due could not be handled (0 when all is well)."""
        async with self._one_at_a_time:
            left = await self._settle()
            target = self._clock.now() + by
            while left == 0 and (due := await self._agenda.next_due(self._clock.now())) and due <= target:
                await self._move_to(min(due + _TOGETHER, target))
                left = await self._settle()
            if left == 0:
                await self._move_to(target)
                left = await self._settle()
            return left

    async def _move_to(self, instant: datetime) -> None:
        by = instant - self._clock.now()
        if by > timedelta():
            self._clock.move(by)  # first ours: what Temporal wakes asks it whether the time has come
            await self._skip(by)

    async def _skip(self, by: timedelta) -> None:
        if by > timedelta():
            request = SleepRequest()
            request.duration.FromTimedelta(by)
            await self._client.test_service.unlock_time_skipping_with_sleep(request)

    async def _settle(self) -> int:
        """Waits until everything that was to happen by now has happened."""
        left = 1
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while left := await self._agenda.unsettled(self._clock.now()):
                    await asyncio.sleep(0.05)
        return left


class Advance(BaseModel):
    """How far to move the clock: an ISO 8601 duration in days and smaller, such as ``P30D`` or ``PT2H``."""

    model_config = ConfigDict(extra="forbid")

    advance: Annotated[timedelta, Field(ge=timedelta(), le=timedelta(days=3660))]


class ClockOut(BaseModel):
    """Where the clock stands now, UTC."""

    now: datetime


@router.post("/clock", dependencies=[Depends(requires(Role.ADMIN))], response_model=ClockOut)
async def advance(request: Request, body: Annotated[Advance, Body()]) -> ClockOut | JSONResponse:
    """Moves the one clock that everything reads; answers when all that became due has been handled."""
    machine: TimeMachine = request.app.state.time_machine
    if left := await machine.advance(body.advance):
        return problem(HTTPStatus.GATEWAY_TIMEOUT, "not_settled", f"{left} due steps are still to be handled.")
    return ClockOut(now=request.app.state.parts.clock.now())
