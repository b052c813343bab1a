"""What registrations lead to, reckoned: how many take which step, when in the week, and how many are open.

The rules are the project's own (`decide`, the policy's times). What people do is assumed, and stated in `MIX`; replace
it by your own figures. `benchmarks.capacity.year` plays the same year out, registration by registration.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from consentflow.domain.consent import Fact, Record
from consentflow.domain.policy import Lead, Policy, decide, read_policy
from consentflow.domain.registrations import State

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WEEK = 168
"""Hours of a week."""

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
"""Midnight; where years begin."""

ANSWERED = Record(frozenset({Fact.OPTED_IN}))

FIRST_STEP = {
    State.NO_CONTACT: "no_contact",
    State.WAITING: "waiting",
    State.ACCEPTED: "asked",
    State.SATISFIED: "already_informed",
    State.CONFIRMED: "already_confirmed",
}
"""By what `decide` says when a registration arrives; named as the journeys that were counted."""

CORRECTED = {"corrected_to_double_opt_in": "DE", "corrected_to_no_contact": "US"}
"""Steps that correct a location, and to which country."""


@dataclass(frozen=True, slots=True)
class Fate:
    """Something that ends waiting for a share of those who wait, after a time that is distributed exponentially.

    Args:
        share: Of those who wait; it comes to nothing where the waiting is over first.
    """

    step: str
    share: float
    mean: timedelta


@dataclass(frozen=True)
class Mix:
    """What arrives and what people do, all of it assumed.

    Args:
        countries: Shares of locations; None is an unknown one.
        known: Share of contacts that have opted in before.
        while_waiting: What happens to registrations that wait for the notice; the others get it.
        while_asked: What happens to questions; the others lapse.
        day: How busy the hours of a working day are, against each other, UTC.
        weekend: How busy a day of the weekend is against a working day.
    """

    countries: Mapping[str | None, float]
    known: float
    while_waiting: Sequence[Fate]
    while_asked: Sequence[Fate]
    day: Sequence[float]
    weekend: float

    @cached_property
    def week(self) -> Sequence[float]:
        """How busy each hour of the week is, from Monday on; 1 on the average."""
        hours = [weight * (self.weekend if day in {5, 6} else 1) for day in range(7) for weight in self.day]
        average = sum(hours) / WEEK
        return [weight / average for weight in hours]


MIX = Mix(
    countries={
        "DE": 0.20,
        "AT": 0.04,
        "CH": 0.06,
        "FR": 0.18,
        "NL": 0.08,
        "IT": 0.08,
        "ES": 0.08,
        "PL": 0.06,
        None: 0.07,
        "US": 0.09,
        "GB": 0.06,
    },
    known=0.05,
    while_waiting=(
        Fate("satisfied", 0.20, timedelta(days=8)),
        Fate("withdrawn_while_waiting", 0.01, timedelta(days=3)),
        Fate("objected_while_waiting", 0.005, timedelta(days=10)),
        Fate("corrected_to_double_opt_in", 0.02, timedelta(days=4)),
        Fate("corrected_to_no_contact", 0.01, timedelta(days=4)),
    ),
    while_asked=(
        Fate("confirmed", 0.30, timedelta(days=1.5)),
        Fate("withdrawn_while_asked", 0.01, timedelta(days=3)),
        Fate("objected_while_asked", 0.01, timedelta(days=2)),
    ),
    day=[0.05] * 6 + [0.3, 0.8] + [1.0] * 4 + [0.8] + [1.0] * 3 + [0.8, 0.4, 0.2] + [0.1] * 5,
    weekend=0.08,
)


@dataclass(frozen=True)
class Demand:
    """What a mix leads to under a policy, for each registration that arrives."""

    policy: Policy
    mix: Mix

    @cached_property
    def waiting_time(self) -> timedelta:
        """From a registration to its notice."""
        return self.policy.notice_due(MONDAY) - MONDAY

    @cached_property
    def answer_time(self) -> timedelta:
        """From a question to its end."""
        return self.policy.answer_until(MONDAY) - MONDAY

    @cached_property
    def steps(self) -> Mapping[str, float]:
        """How often each step is taken, for each registration."""
        steps = dict(self._arrivals)
        waiting = steps.get("waiting", 0)
        for fate in self.mix.while_waiting:
            steps[fate.step] = waiting * _in_time(fate, self.waiting_time)
        steps["notified"] = waiting - sum(steps[fate.step] for fate in self.mix.while_waiting)
        asked = self._asked
        for fate in self.mix.while_asked:
            steps[fate.step] = asked * _in_time(fate, self.answer_time)
        steps["lapsed"] = asked - sum(steps[fate.step] for fate in self.mix.while_asked)
        return steps

    @cached_property
    def open_waiting(self) -> timedelta:
        """How long a registration waits for its notice, for each that arrives (those that never wait included)."""
        return self._arrivals.get("waiting", 0) * _mean_time(self.mix.while_waiting, self.waiting_time)

    @cached_property
    def open_asked(self) -> timedelta:
        """How long a question is open, for each registration that arrives."""
        return self._asked * _mean_time(self.mix.while_asked, self.answer_time)

    @cached_property
    def by_hour(self) -> Mapping[str, Sequence[float]]:
        """How busy each step is in each hour of the week; the average is how often it is taken (`steps`)."""
        hours = {step: [share * busy for busy in self.mix.week] for step, share in self._arrivals.items()}
        waiting, asked = hours.get("waiting", [0.0] * WEEK), list(hours.get("asked", [0.0] * WEEK))
        for fate in self.mix.while_waiting:
            hours[fate.step] = _later(waiting, _lags(fate, self.waiting_time))
        silent = 1 - sum(_in_time(fate, self.waiting_time) for fate in self.mix.while_waiting)
        hours["notified"] = _later(waiting, {_hours(self.waiting_time): silent})
        for hour, more in enumerate(hours.get("corrected_to_double_opt_in", [0.0] * WEEK)):
            asked[hour] += more
        for fate in self.mix.while_asked:
            hours[fate.step] = _later(asked, _lags(fate, self.answer_time))
        silent = 1 - sum(_in_time(fate, self.answer_time) for fate in self.mix.while_asked)
        hours["lapsed"] = _later(asked, {_hours(self.answer_time): silent})
        return hours

    @cached_property
    def _arrivals(self) -> Mapping[str, float]:
        steps: dict[str, float] = defaultdict(float)
        for country, share in self.mix.countries.items():
            lead = Lead(country, MONDAY)
            for record, part in ((Record(), 1 - self.mix.known), (ANSWERED, self.mix.known)):
                steps[FIRST_STEP[decide(self.policy, lead, record, MONDAY).state]] += share * part
        return steps

    @property
    def _asked(self) -> float:
        return self._arrivals.get("asked", 0) + self._ending_waiting("corrected_to_double_opt_in")

    def _ending_waiting(self, step: str) -> float:
        shares = [_in_time(fate, self.waiting_time) for fate in self.mix.while_waiting if fate.step == step]
        return self._arrivals.get("waiting", 0) * sum(shares)


def default() -> Demand:
    """The stated mix under the policy that is shipped."""
    return Demand(read_policy(), MIX)


def _in_time(fate: Fate, limit: timedelta) -> float:
    """How many meet the fate before the time is over: its share times (1 - e^(-limit / mean))."""
    return fate.share * -math.expm1(-(limit / fate.mean))


def _mean_time(fates: Sequence[Fate], limit: timedelta) -> timedelta:
    """How long it takes on the average until a fate is met or the time is over (the mean of min(T, limit))."""
    met = sum((_in_time(fate, limit) * fate.mean for fate in fates), timedelta())
    return met + (1 - sum(fate.share for fate in fates)) * limit


def _lags(fate: Fate, limit: timedelta) -> Mapping[int, float]:
    """How many meet the fate after so many hours."""
    step = HOUR / fate.mean
    return {lag: fate.share * math.exp(-lag * step) * -math.expm1(-step) for lag in range(_hours(limit))}


def _later(hours: Sequence[float], lags: Mapping[int, float]) -> list[float]:
    """What happens each hour of the week if so much of what was begun comes so many hours later."""
    wrapped = [0.0] * WEEK
    for lag, share in lags.items():
        wrapped[lag % WEEK] += share
    return [sum(hours[hour - lag] * share for lag, share in enumerate(wrapped)) for hour in range(WEEK)]


def _hours(time: timedelta) -> int:
    return round(time / HOUR)
