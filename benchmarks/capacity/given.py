"""What capacity is reckoned from and no journey tells: rates of our processes, what is cited or assumed, prices."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

RATES = Path(__file__).with_name("rates.json")


@dataclass(frozen=True, slots=True)
class Rates:
    """What one process did a second in ``bench.json``, on the machine that it was run on."""

    accepting: float
    delivering: float
    mails: float

    @classmethod
    def read(cls, file: Path) -> "Rates":
        """From the figures of `benchmarks`, or from what was published last.

        Raises:
            KeyError: A figure is not there.
        """
        content = json.loads(file.read_text())
        if "figures" not in content:
            return cls(**content)
        ours = {figure["name"]: figure["ours"] for figure in content["figures"]}
        return cls(
            ours["accepting, one API process"],
            ours["waiting registrations, HTTP in to delayed workflow"],
            ours["the whole mail path: render, freeze, send, record"],
        )


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is neither measured here nor the policy's: cited or assumed, and yours to replace.

    Args:
        headroom: Machines are ordered for so many times the peak hour of an ordinary week.
        engine_retention: How long Temporal keeps what is over (RETENTION in docker-compose.yml).
        postgres_factor: Temporal's tables in Postgres against the packed SQLite file that was weighed.
        cassandra_copies: Replicas, times the room that compaction wants.
        transitions_per_set: Changes of state a second by one frontend, one history, one matching pod and 2 cores of
            Postgres.
        executions_per_shard: Open workflows for one history shard.
        fewest_shards: To begin with.
        connections: To Postgres, of each of our processes.
        index_bloat: Our tables against their packed size.
        wal_days: Of WAL kept for point-in-time recovery.
    """

    headroom: float = 2
    engine_retention: timedelta = timedelta(days=30)
    postgres_factor: float = 1.5
    cassandra_copies: float = 3 * 2
    transitions_per_set: float = 1000
    executions_per_shard: float = 20_000
    fewest_shards: int = 512
    connections: int = 11
    wal_days: float = 7


@dataclass(frozen=True, slots=True)
class Prices:
    """Temporal Cloud, pay as you go on the Business plan, US dollars.

    Args:
        tiers: Up to so many actions a month, dollars for each million; beyond the last, its price goes on.
    """

    source: str = "Temporal Cloud pricing (temporalio/documentation, docs/evaluate/cloud/pricing.mdx, at 0217b71)"
    tiers: Sequence[tuple[float, float]] = ((5e6, 50), (10e6, 45), (20e6, 40), (50e6, 35), (100e6, 30), (200e6, 25))
    active_gbh: float = 0.042
    retained_gbh: float = 0.00105
    plan_least: float = 500
    plan_share: float = 0.10

    def actions(self, number: float) -> float:
        """Dollars for so many actions in a month."""
        dollars, below = 0.0, 0.0
        for limit, price in self.tiers:
            dollars += max(min(number, limit) - below, 0) / 1e6 * price
            below = limit
        return dollars + max(number - below, 0) / 1e6 * self.tiers[-1][1]


def publish_rates(rates: Rates) -> None:
    """Keeps what the page was reckoned with."""
    RATES.write_text(json.dumps(asdict(rates), indent=1) + "\n")
