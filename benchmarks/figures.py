"""A figure: what we do against the least that the same job can cost, in the same run."""

import statistics
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

Measure = Callable[[], Awaitable[float]]
"""One round; returns how many a second."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Args:
        name: What is measured.
        unit: Of ``ours`` and ``floor``, such as ``registrations/s``.
        ours: Median of the rounds.
        floor: Median of the rounds.
        ratio: Median of the rounds' ratios: noise that lasts longer than a round strikes both.
        target: The ratio to reach: at least, or at most where ``at_most``. None for a peer, which is no floor.
        floor_is: What the floor does, in a few words.
        rounds: Each round's pair (ours, floor).
    """

    name: str
    unit: str
    ours: float
    floor: float
    ratio: float
    target: float | None
    floor_is: str
    at_most: bool = False
    rounds: Sequence[tuple[float, float]] = field(default_factory=tuple)

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None where there is none."""
        if self.target is None:
            return None
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the greatest ratio of the rounds: how far the median can be trusted."""
        ratios = [ours / floor for ours, floor in self.rounds if floor] or [self.ratio]
        return min(ratios), max(ratios)


async def against_floor(
    name: str, unit: str, target: float | None, floor_is: str, ours: Measure, floor: Measure, *, rounds: int
) -> Figure:
    """Measures both in turn, after one round of each that does not count; who goes first changes every round."""
    pairs: list[tuple[float, float]] = []
    await floor()
    await ours()
    for number in range(rounds):
        if number % 2:
            mine, least = await ours(), await floor()
        else:
            least, mine = await floor(), await ours()
        pairs.append((mine, least))
    return of_rounds(name, unit, target, floor_is, pairs)


def of_rounds(
    name: str,
    unit: str,
    target: float | None,
    floor_is: str,
    pairs: Sequence[tuple[float, float]],
    *,
    at_most: bool = False,
) -> Figure:
    """The figure that rounds, each a pair (ours, floor), come to."""
    return Figure(
        name=name,
        unit=unit,
        ours=statistics.median(mine for mine, _ in pairs),
        floor=statistics.median(least for _, least in pairs),
        ratio=statistics.median(mine / least for mine, least in pairs),
        target=target,
        floor_is=floor_is,
        at_most=at_most,
        rounds=tuple(pairs),
    )
