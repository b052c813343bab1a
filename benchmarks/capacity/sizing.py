"""From what a journey costs to what so many open registrations need: pure arithmetic, every input named.

`benchmarks.capacity` makes the tables of ``docs/capacity.md`` of it. Units are in the names: bytes, a second, a day.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from benchmarks.capacity.demand import DAY, Demand
from benchmarks.capacity.given import Assumptions, Prices, Rates
from benchmarks.capacity.units import STEPS, YEAR_DAYS, Unit, units
from benchmarks.costs.unit_costs import UnitCosts

MONTH_HOURS = 744
"""As Temporal Cloud turns GB into GBh."""

GB = 1e9


@dataclass(frozen=True)
class Capacity:
    """What so many open registrations need; every property is one line of arithmetic.

    Args:
        open_waiting: Registrations that wait for their notice, on the average.
    """

    open_waiting: float
    costs: UnitCosts
    rates: Rates
    demand: Demand
    given: Assumptions = field(default_factory=Assumptions)
    prices: Prices = field(default_factory=Prices)

    @cached_property
    def units(self) -> Mapping[str, Unit]:
        """What each step costs."""
        return units(self.costs)

    @property
    def daily(self) -> float:
        """Registrations a day that keep so many waiting (Little's law: open = arrivals times time)."""
        return self.open_waiting / (self.demand.open_waiting / DAY)

    @property
    def yearly(self) -> float:
        """Registrations a year."""
        return self.daily * YEAR_DAYS

    @property
    def open_asked(self) -> float:
        """Questions that are open at the same time."""
        return self.daily * (self.demand.open_asked / DAY)

    def each(self, what: Callable[[Unit], float]) -> float:
        """Of a registration, on the average, from beginning to end."""
        return sum(share * what(self.units[step]) for step, share in self.demand.steps.items())

    def peak(self, what: Callable[[Unit], float]) -> float:
        """A second, in the busiest hour of the week."""
        hours = [
            sum(busy * what(self.units[step]) for step, busy in zip(self.demand.by_hour, at, strict=True))
            for at in zip(*self.demand.by_hour.values(), strict=True)
        ]
        return float(max(hours)) * self.daily / (DAY / timedelta(seconds=1))

    @cached_property
    def peak_registrations(self) -> float:
        """Registrations a second in the busiest hour."""
        return self.peak(lambda unit: max(unit.starts, 0))

    @cached_property
    def peak_notices(self) -> float:
        """Start delays that end a second in the busiest hour."""
        return max(self.demand.by_hour["notified"]) * self.daily / (DAY / timedelta(seconds=1))

    @cached_property
    def peak_actions(self) -> float:
        """Actions a second."""
        return self.peak(lambda unit: unit.actions)

    @cached_property
    def peak_transitions(self) -> float:
        """Changes of state a second."""
        return self.peak(lambda unit: unit.transitions)

    @cached_property
    def peak_mails(self) -> float:
        """Mails a second."""
        return self.peak(lambda unit: unit.mails)

    # Temporal, whoever runs it.

    @property
    def monthly_actions(self) -> float:
        """Billable actions."""
        return self.yearly / 12 * self.each(lambda unit: unit.actions)

    @property
    def engine_open_bytes(self) -> float:
        """Of what is open, in a packed SQLite file."""
        return self.open_waiting * self.costs.engine.waiting + self.open_asked * self.costs.engine.asked

    @property
    def engine_closed_bytes(self) -> float:
        """Of what is over and still kept there."""
        return self.daily * (self.given.engine_retention / DAY) * self.closed_bytes

    @property
    def closed_bytes(self) -> float:
        """Of a workflow that is over, by its history: the line through the two that were weighed."""
        small, large = self.costs.journey("no_contact"), self.costs.journey("notified")
        slope = (self.costs.engine.notified - self.costs.engine.no_contact) / (
            large.history_bytes - small.history_bytes
        )
        over = self.each(lambda unit: unit.history_bytes) - small.history_bytes
        return self.costs.engine.no_contact + slope * over

    @property
    def engine_postgres_bytes(self) -> float:
        """Temporal's own Postgres."""
        return (self.engine_open_bytes + self.engine_closed_bytes) * self.given.postgres_factor

    @property
    def engine_cassandra_bytes(self) -> float:
        """Or its Cassandra, all replicas."""
        return (self.engine_open_bytes + self.engine_closed_bytes) * self.given.cassandra_copies

    @property
    def shards(self) -> int:
        """History shards; they can never be changed."""
        wanted = math.ceil(self.open_waiting / self.given.executions_per_shard)
        return max(self.given.fewest_shards, 1 << (wanted - 1).bit_length())

    @property
    def engine_sets(self) -> int:
        """Of one frontend, history and matching pod each."""
        return max(2, self._machines(self.peak_transitions, self.given.transitions_per_set))

    # Temporal Cloud.

    @property
    def active_gbh(self) -> float:
        """Histories of what is open, for a month."""
        waiting, asked = (self.costs.journey(name).history_bytes for name in ("waiting", "asked"))
        return (self.open_waiting * waiting + self.open_asked * asked) / GB * MONTH_HOURS

    @property
    def retained_gbh(self) -> float:
        """Histories of what is over and still kept, for a month."""
        kept = self.daily * (self.given.engine_retention / DAY) * self.each(lambda unit: unit.history_bytes)
        return kept / GB * MONTH_HOURS

    @property
    def dollars_actions(self) -> float:
        """A month."""
        return self.prices.actions(self.monthly_actions)

    @property
    def dollars_storage(self) -> float:
        """A month."""
        return self.active_gbh * self.prices.active_gbh + self.retained_gbh * self.prices.retained_gbh

    @property
    def dollars(self) -> float:
        """A month, with the plan."""
        usage = self.dollars_actions + self.dollars_storage
        return usage + max(self.prices.plan_least, self.prices.plan_share * usage)

    # Ours.

    def stored_bytes(self, years: float) -> float:
        """Our Postgres after so many years, packed: what is kept for good grows, the rest levels out."""
        span = timedelta(days=years * YEAR_DAYS)
        return sum(
            self.daily * share * size * (min(kept or span, span) / DAY)
            for step, share in self.demand.steps.items()
            for kept, size in self.units[step].keeps.items()
        )

    @property
    def bloat(self) -> float:
        """How much larger our tables were as they came than packed."""
        weighed = self.costs.tables.values()
        return sum(table.grown for table in weighed) / sum(table.bytes for table in weighed)

    def disk_bytes(self, years: float) -> float:
        """What to order for it: with bloat, and WAL."""
        return self.stored_bytes(years) * self.bloat + self.daily_wal_bytes * self.given.wal_days

    def rows(self, table: str) -> float:
        """A table's new rows a year."""
        found = 0.0
        for step, share in self.demand.steps.items():
            plus, minus = STEPS[step]
            found += share * sum(self.costs.journey(name).rows.get(table, 0) for name in plus)
            found -= share * sum(self.costs.journey(name).rows.get(table, 0) for name in minus)
        return found * self.yearly

    @property
    def daily_wal_bytes(self) -> float:
        """Written a day."""
        return self.daily * self.costs.wal_bytes

    @property
    def api_processes(self) -> int:
        """That take the busiest hour."""
        return max(2, self._machines(self.peak_registrations, self.rates.accepting))

    @property
    def worker_processes(self) -> int:
        """That start what came and send what is due in the busiest hour."""
        busy = self.peak_registrations / self.rates.delivering + self.peak_mails / self.rates.mails
        return max(2, math.ceil(busy * self.given.headroom))

    @property
    def connections(self) -> int:
        """To our Postgres."""
        return (self.api_processes + self.worker_processes) * self.given.connections

    @property
    def daily_mails(self) -> float:
        """On the average of all days."""
        return self.daily * self.each(lambda unit: unit.mails)

    @property
    def daily_mail_bytes(self) -> float:
        """On the average of all days."""
        return self.daily * self.each(lambda unit: unit.mail_bytes)

    def _machines(self, peak: float, rate: float) -> int:
        return math.ceil(peak * self.given.headroom / rate)
