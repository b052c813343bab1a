# ruff: noqa: RUF001 - formulas that people read have the signs of mathematics in them
"""How the page on capacity comes to its numbers: inputs, assumptions and arithmetic, as tables."""

from benchmarks.capacity.demand import DAY, Demand
from benchmarks.capacity.sizing import Capacity
from benchmarks.markdown import count, period, size, table


def inputs(one: Capacity) -> str:
    """Every input and where it is from."""
    given, prices = one.given, one.prices
    tiers = ", ".join(f"${price:g} up to {count(limit)}" for limit, price in prices.tiers)
    lines = [
        ("waiting time; time for an answer", f"{period(one.demand.waiting_time)}; {period(one.demand.answer_time)}",
         "policy"),
        ("registrations accepted by one API process", f"{one.rates.accepting:,.0f} a second", "measured, `bench.json`"),
        ("registrations through to a delayed workflow, one worker", f"{one.rates.delivering:,.0f} a second",
         "measured, `bench.json`"),
        ("mails rendered, sent and recorded by one process", f"{one.rates.mails:,.0f} a second",
         "measured, `bench.json`"),
        ("WAL for each registration", size(one.costs.wal_bytes), "measured, `costs.json`"),
        ("our tables as they came against packed", f"× {one.bloat:.2f}", "measured, `costs.json`"),
        ("a set of one frontend, history and matching pod and 2 cores of Postgres",
         f"{given.transitions_per_set:,.0f} changes of state a second",
         "cited: piotrmucha.blog, Temporal performance tests, 2025"),
        ("open workflows for one history shard", f"{given.executions_per_shard:,.0f}",
         "cited: Temporal docs, “What is a History Shard?” says tens of thousands"),
        ("fewest history shards", f"{given.fewest_shards}", "assumed"),
        ("actions", tiers, f"cited: {prices.source}; beyond the last step ask them: its price is assumed to go on"),
        ("active; retained storage", f"${prices.active_gbh} a GBh; ${prices.retained_gbh} a GBh", "cited: the same"),
        ("plan (Business)", f"${prices.plan_least:,.0f} or {prices.plan_share:.0%} of usage, the greater",
         "cited: the same; what the plan includes is not deducted"),
        ("Temporal's tables in Postgres against the packed SQLite file", f"× {given.postgres_factor}", "assumed"),
        ("Cassandra: replicas and room for compaction", f"× {given.cassandra_copies:g}", "assumed"),
        ("Temporal's retention", period(given.engine_retention), "`docker-compose.yml`"),
        ("machines ordered for", f"{given.headroom:g} × the busiest hour", "assumed"),
        ("connections of a process", f"{given.connections}", "default setting, and one that listens"),
        ("WAL kept", f"{given.wal_days:g} days", "assumed"),
    ]  # fmt: skip
    return table(("input", "value", "where from"), lines)


def mix(demanded: Demand) -> str:
    """What is assumed about people, and what it makes."""
    said = demanded.mix
    shares = ", ".join(f"{country or 'unknown'} {share:.0%}" for country, share in said.countries.items())
    lines = [("locations", shares), ("have opted in before", f"{said.known:.0%}")]
    for where, fates in (("of those who wait", said.while_waiting), ("of those who were asked", said.while_asked)):
        for fate in fates:
            what = fate.step.replace("_while_waiting", "").replace("_while_asked", "").replace("_", " ")
            lines.append((f"{where}: {what}", f"{fate.share:.1%}, after {fate.mean / DAY:g} days on the average"))
    lines.append(("a day of the weekend against a working day", f"{said.weekend:.0%}"))
    lines.append(("busiest hour against the average of the week", f"× {max(said.week):.1f}"))
    lines.append(("**which makes, of 100 registrations**", ""))
    lines += [(step.replace("_", " "), f"{share * 100:.1f}") for step, share in demanded.steps.items()]
    return table(("assumed", ""), lines)


def arithmetic(one: Capacity) -> str:
    """The way from the inputs to the needs, with the numbers of one column."""
    demanded, given, engine = one.demand, one.given, one.costs.engine
    waits, asks = demanded.open_waiting / DAY, demanded.open_asked / DAY
    actions, history = one.each(lambda unit: unit.actions), one.each(lambda unit: unit.history_bytes)
    wait_bytes, asked_bytes = (one.costs.journey(name).history_bytes for name in ("waiting", "asked"))
    closed_days = given.engine_retention / DAY
    lines = [
        (
            "days of waiting, for each registration",
            f"{demanded.steps['waiting']:.3f} that wait × (Σ s·m·(1 − e^(−T/m)) + (1 − Σ s)·T)",
            f"{waits:.2f} days",
        ),
        ("registrations a day", f"{one.open_waiting:,.0f} ÷ {waits:.2f} days", f"{one.daily:,.0f}"),
        ("questions open", f"{one.daily:,.0f} × {asks:.2f} days", f"{one.open_asked:,.0f}"),
        (
            "registrations a second, busiest hour",
            f"{one.daily:,.0f} ÷ 86,400 × {max(demanded.mix.week):.2f}",
            f"{one.peak_registrations:,.1f}",
        ),
        ("actions of a registration", "Σ steps × actions", f"{actions:.3f}"),
        ("actions a month", f"{one.yearly:,.0f} ÷ 12 × {actions:.3f}", f"{one.monthly_actions:,.0f}"),
        (
            "Temporal, open",
            f"{one.open_waiting:,.0f} × {engine.waiting:,.0f} B + {one.open_asked:,.0f} × {engine.asked:,.0f} B",
            size(one.engine_open_bytes),
        ),
        (
            "Temporal, over",
            f"{one.daily:,.0f} × {closed_days:g} days × {one.closed_bytes:,.0f} B",
            size(one.engine_closed_bytes),
        ),
        ("… in Postgres", f"both × {given.postgres_factor}", size(one.engine_postgres_bytes)),
        (
            "history shards",
            f"power of two ≥ {one.open_waiting:,.0f} ÷ {given.executions_per_shard:,.0f}, ≥ {given.fewest_shards}",
            f"{one.shards:,}",
        ),
        (
            "sets of pods",
            f"{one.peak_transitions:,.0f} a second × {given.headroom:g} ÷ {given.transitions_per_set:,.0f}",
            f"{one.engine_sets}",
        ),
        (
            "Cloud, active storage",
            f"({one.open_waiting:,.0f} × {wait_bytes:,} B + {one.open_asked:,.0f} × {asked_bytes:,} B) × 744 h",
            f"{one.active_gbh:,.0f} GBh",
        ),
        (
            "Cloud, retained storage",
            f"{one.daily:,.0f} × {closed_days:g} days × {history:,.0f} B × 744 h",
            f"{one.retained_gbh:,.0f} GBh",
        ),
        (
            "Cloud, a month",
            f"${one.dollars_actions:,.0f} for actions + ${one.dollars_storage:,.0f} for storage + plan",
            f"${one.dollars:,.0f}",
        ),
        (
            "our Postgres, 1 year",
            f"Σ steps × rows × bytes × min(kept, 1 year), × {one.bloat:.2f}",
            size(one.stored_bytes(1) * one.bloat),
        ),
        ("our Postgres, 3 years", "the same × min(kept, 3 years)", size(one.stored_bytes(3) * one.bloat)),
        (
            "API processes",
            f"{one.peak_registrations:,.1f} a second × {given.headroom:g} ÷ {one.rates.accepting:,.0f}",
            f"{one.api_processes}",
        ),
        (
            "worker processes",
            (
                f"({one.peak_registrations:,.1f} ÷ {one.rates.delivering:,.0f} + {one.peak_mails:,.1f} ÷"
                f" {one.rates.mails:,.0f}) × {given.headroom:g}"
            ),
            f"{one.worker_processes}",
        ),
    ]
    return table(("what", "how", "makes"), lines)
