"""A year of registrations played out one by one, to check what `benchmarks.capacity.demand` reckons.

They arrive at random (Poisson) by the hours of the week. Each is decided by the project's own `decide`, at its arrival
and whenever something happens to it; notices and lapses come when the policy says. The same seed gives the same year.
"""

import heapq
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import accumulate, count
from typing import TypeAlias

from benchmarks.capacity.demand import ANSWERED, CORRECTED, FIRST_STEP, HOUR, MONDAY, Demand, Fate
from consentflow.domain.consent import Fact, Record
from consentflow.domain.policy import Lead, decide
from consentflow.domain.registrations import State

WARM_UP = timedelta(days=63)
"""Nine weeks before the year begins, longer than anything stays open."""

YEAR = timedelta(days=364)
"""Whole weeks."""

_FACTS = {
    "satisfied": Fact.OPTED_IN,
    "confirmed": Fact.CONFIRMED,
    "objected_while_waiting": Fact.OBJECTED,
    "objected_while_asked": Fact.OBJECTED,
}
_ENDS = {
    "satisfied": State.SATISFIED,
    "confirmed": State.CONFIRMED,
    "objected_while_waiting": State.SUPPRESSED,
    "objected_while_asked": State.SUPPRESSED,
    "corrected_to_no_contact": State.NO_CONTACT,
    "corrected_to_double_opt_in": State.ACCEPTED,
}
"""Where `decide` must take a registration by these steps."""

Event: TypeAlias = tuple[datetime, int, str, str | None]
"""When, a number that tells two of the same instant apart, the step, the registration's country."""


@dataclass
class Year:
    """What happened in each hour since midnight of a Monday.

    Args:
        steps: How often each step was taken.
        waiting: How many waited for their notice at the end of the hour.
        asked: How many questions were open then.
    """

    hours: int
    steps: dict[str, list[int]] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)

    def total(self, step: str) -> int:
        """How often the step was taken."""
        return sum(self.steps.get(step, ()))

    @property
    def arrivals(self) -> int:
        """How many registrations came."""
        return sum(self.total(step) for step in FIRST_STEP.values())

    def by_hour_of_week(self, step: str) -> Sequence[float]:
        """The mean of each hour of the week."""
        taken, weeks = self.steps.get(step, [0] * self.hours), self.hours / 168
        return [sum(taken[hour::168]) / weeks for hour in range(168)]


def play(demand: Demand, *, yearly: float, seed: int = 1) -> Year:
    """Plays a year after the warm-up, with about so many registrations."""
    return _Play(demand, yearly, seed).year()


class _Play:
    def __init__(self, demand: Demand, yearly: float, seed: int) -> None:
        self._demand = demand
        self._random = random.Random(seed)  # noqa: S311 - nothing secret
        self._hourly = yearly / (YEAR / HOUR)
        self._ahead: list[Event] = []
        self._numbers = count()
        self._open = {"waiting": 0, "asked": 0}
        self._hour: dict[str, int] = defaultdict(int)
        countries = demand.mix.countries
        self._countries, self._weights = list(countries), list(accumulate(countries.values()))

    def year(self) -> Year:
        """From Monday to Monday; the warm-up is not in it."""
        begin, now = MONDAY, MONDAY - WARM_UP
        year = Year(hours=0)
        while now < begin + YEAR:
            self._hour.clear()
            for arrival in self._arrivals(now):
                heapq.heappush(self._ahead, (arrival, next(self._numbers), "arrives", None))
            now += HOUR
            while self._ahead and self._ahead[0][0] < now:
                self._happens(*heapq.heappop(self._ahead))
            if now > begin:
                self._note(year)
        return year

    def _note(self, year: Year) -> None:
        for step in self._hour.keys() | year.steps.keys():
            year.steps.setdefault(step, [0] * year.hours).append(self._hour.get(step, 0))
        year.hours += 1
        year.waiting.append(self._open["waiting"])
        year.asked.append(self._open["asked"])

    def _arrivals(self, hour: datetime) -> Iterator[datetime]:
        week = self._demand.mix.week
        rate = self._hourly * week[int((hour - MONDAY) / HOUR) % len(week)]
        passed = self._random.expovariate(rate)
        while passed < 1:
            yield hour + passed * HOUR
            passed += self._random.expovariate(rate)

    def _happens(self, now: datetime, _: int, step: str, country: str | None) -> None:
        if step == "arrives":
            self._arrives(now)
            return
        self._hour[step] += 1
        asked = step in _ASKED_ENDS
        self._open["asked" if asked else "waiting"] -= 1
        if step in _ENDS:
            lead = Lead(CORRECTED.get(step, country), now, asked=asked)
            record = Record(frozenset({_FACTS[step]})) if step in _FACTS else Record()
            decided = decide(self._demand.policy, lead, record, now).state
            assert decided is _ENDS[step], (step, decided)  # noqa: S101 - or the steps say something else than the policy
            if decided is State.ACCEPTED:
                self._asks(now, lead.country)

    def _arrives(self, now: datetime) -> None:
        (country,) = self._random.choices(self._countries, cum_weights=self._weights)
        record = ANSWERED if self._random.random() < self._demand.mix.known else Record()
        decision = decide(self._demand.policy, Lead(country, now), record, now)
        self._hour[FIRST_STEP[decision.state]] += 1
        if decision.state is State.WAITING:
            assert decision.due_at  # noqa: S101 - who waits, waits for something
            self._opens("waiting", now, country, self._demand.mix.while_waiting, decision.due_at, "notified")
        elif decision.state is State.ACCEPTED:
            self._asks(now, country)

    def _asks(self, now: datetime, country: str | None) -> None:
        until = self._demand.policy.answer_until(now)
        self._opens("asked", now, country, self._demand.mix.while_asked, until, "lapsed")

    def _opens(
        self, how: str, now: datetime, country: str | None, fates: Sequence[Fate], until: datetime, otherwise: str
    ) -> None:
        self._open[how] += 1
        at, step = until, otherwise
        drawn = self._random.random()
        for fate in fates:
            drawn -= fate.share
            if drawn < 0:
                met = now + self._random.expovariate(1) * fate.mean
                if met < until:
                    at, step = met, fate.step
                break
        heapq.heappush(self._ahead, (at, next(self._numbers), step, country))


_ASKED_ENDS = {"confirmed", "withdrawn_while_asked", "objected_while_asked", "lapsed"}


def stored(rows: Mapping[str, Sequence[int]], keeps: Mapping[str, Mapping[timedelta | None, float]]) -> float:
    """Bytes on record at the end, day by day: what each step wrote, as far as it is still kept.

    Args:
        rows: How often each step was taken in each hour.
        keeps: Bytes that a step writes, by how long they are kept; None is for good.
    """
    total = 0.0
    for step, hours in rows.items():
        for kept, size in keeps.get(step, {}).items():
            since = 0 if kept is None else max(len(hours) - round(kept / HOUR), 0)
            total += size * sum(hours[since:])
    return total
