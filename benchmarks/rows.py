"""What is measured: each row by its name, with how much of it makes a round and how long it may take."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from benchmarks.costs import unit_costs as costs
from benchmarks.figures import Figure
from benchmarks.measured import bulk, events, growth, intake, peers, plain, sending
from benchmarks.servers import World

Measuring: TypeAlias = Callable[[World, int, int], Awaitable[Figure | Sequence[Figure]]]
"""Measures so many, in so many rounds."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Args:
        number: How many of whatever is measured make one round.
        seconds: After which it counts as failed.
        full: With ``FULL=1``: how many instead, and after how many seconds it counts as failed.
    """

    measure: Measuring
    number: int
    seconds: float = 240
    full: tuple[int, float] | None = None

    def in_full(self) -> "Row":
        """The row as ``FULL=1`` measures it."""
        return replace(self, number=self.full[0], seconds=self.full[1]) if self.full else self


async def cost(world: World, number: int, rounds: int) -> Sequence[Figure]:  # noqa: ARG001 - counting needs no rounds
    """Temporal's actions and events of each journey, counted from real histories, against what they may be."""
    return costs.figures(await costs.costs(world, costs.BUDGETED))


ROWS = {
    "waiting": Row(intake.waiting, 500),
    "plain": Row(plain.plain, 300),
    "asking": Row(intake.asking, 200),
    "accepting": Row(intake.accepting, 1000),
    "batch": Row(bulk.batch, 3000),
    "importing": Row(bulk.importing, 3000),
    "events": Row(events.events, 20_000),
    "mailer": Row(sending.mailer, 2000),
    "mail_path": Row(sending.mail_path, 300),
    "cost": Row(cost, 1),
    "growth": Row(growth.growth, 100_000, 240, full=(1_000_000, 3600)),
    "memory": Row(growth.memory, 5_000, 240, full=(100_000, 3600)),
    "procrastinate": Row(peers.procrastinate, 300),
    "dbos": Row(peers.dbos, 200),
}
