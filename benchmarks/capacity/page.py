"""The tables of ``docs/capacity.md``, made of what was measured; nobody types a number there.

``python -m benchmarks.capacity`` prints them; ``--publish`` writes them between the markers of the page. ``--bench
bench.json`` takes the rates of the last run of `benchmarks`; without it those that were published last stay.
"""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.capacity import demand, given, reckoned, year
from benchmarks.capacity.demand import DAY, Demand
from benchmarks.capacity.given import RATES, Rates
from benchmarks.capacity.sizing import Capacity
from benchmarks.capacity.units import YEAR_DAYS, Unit, kept_for
from benchmarks.costs import unit_costs as costs
from benchmarks.costs.unit_costs import UnitCosts
from benchmarks.markdown import count, period, size, table

PAGE = Path("docs/capacity.md")
SIZES = (1e6, 10e6, 100e6)
PLAYED = 2000
"""Registrations that wait in the year that is played out; everything grows with it in proportion."""

_TOLD = ("PostgreSQL", "Temporal", "Temporal SDK", "Python")
_LEVELS = "▁▂▃▄▅▆▇█"


def play(mix: Demand) -> year.Year:
    """The year that the arithmetic is held against."""
    return year.play(mix, yearly=PLAYED / (mix.open_waiting / DAY) * (year.YEAR / DAY))


def sections(unit_costs: UnitCosts, rates: Rates, played: year.Year) -> Mapping[str, str]:
    """Every table, by the name in its marker."""
    mix = demand.default()
    sized = [Capacity(size, unit_costs, rates, mix) for size in SIZES]
    return {
        "needs": _needs(sized),
        "measured": _measured(unit_costs),
        "journeys": _journeys(unit_costs),
        "rows": _rows(unit_costs),
        "engine": _engine(unit_costs),
        "inputs": reckoned.inputs(sized[0]),
        "arithmetic": reckoned.arithmetic(sized[1]),
        "mix": reckoned.mix(mix),
        "check": _check(Capacity(PLAYED, unit_costs, rates, mix), played),
    }


def put(page: str, tables: Mapping[str, str]) -> str:
    """The page with the tables between their markers.

    Raises:
        KeyError: The page has a marker that there is no table for.
    """
    return re.sub(
        r"(<!-- (\w+): made by benchmarks.capacity -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}\n{tables[found[2]]}\n\n{found[3]}",
        page,
        flags=re.DOTALL,
    )


def _needs(sized: Sequence[Capacity]) -> str:
    lines: Sequence[tuple[str, Callable[[Capacity], str]]] = (
        ("**registrations that wait at the same time**", lambda c: f"**{count(c.open_waiting)}**"),
        ("questions open beside them", lambda c: count(c.open_asked)),
        ("registrations a year", lambda c: count(c.yearly)),
        ("… a day, on the average", lambda c: count(c.daily)),
        ("… a second, in the busiest hour", lambda c: count(c.peak_registrations)),
        ("notices that fall due a second, in the busiest hour", lambda c: count(c.peak_notices)),
        ("**Temporal, self-hosted**", lambda _: ""),
        ("changes of state a second, busiest hour", lambda c: count(c.peak_transitions)),
        ("Postgres: open workflows", lambda c: size(c.engine_open_bytes * c.given.postgres_factor)),
        ("Postgres: with what is over, 30 days", lambda c: size(c.engine_postgres_bytes)),
        ("or Cassandra: all replicas, with room", lambda c: size(c.engine_cassandra_bytes)),
        ("history shards", lambda c: f"{c.shards:,}"),
        ("sets of frontend, history and matching", lambda c: f"{c.engine_sets:,}"),
        ("**or Temporal Cloud**", lambda _: ""),
        ("actions a month", lambda c: count(c.monthly_actions)),
        ("actions a second, busiest hour", lambda c: count(c.peak_actions)),
        ("active / retained storage", lambda c: f"{count(c.active_gbh)} / {count(c.retained_gbh)} GBh"),
        ("a month, by list price", lambda c: f"${count(c.dollars)}"),
        ("**our Postgres**", lambda _: ""),
        ("data after 1 year, indexes included", lambda c: size(c.stored_bytes(1) * c.bloat)),
        ("data after 3 years", lambda c: size(c.stored_bytes(3) * c.bloat)),
        ("disk to order for 3 years", lambda c: size(c.disk_bytes(3))),
        ("rows of the ledger a year", lambda c: count(c.rows("ledger"))),
        ("WAL a day", lambda c: size(c.daily_wal_bytes)),
        ("connections", lambda c: f"{c.connections:,}"),
        ("**our processes**", lambda _: ""),
        ("`consentflow api`", lambda c: f"{c.api_processes:,}"),
        ("`consentflow worker`", lambda c: f"{c.worker_processes:,}"),
        ("**mail**", lambda _: ""),
        ("mails a day", lambda c: count(c.daily_mails)),
        ("mails a second, busiest hour", lambda c: count(c.peak_mails)),
        ("handed to the mail server a day", lambda c: size(c.daily_mail_bytes)),
    )
    return table(("", "", "", ""), [(name, *(value(each) for each in sized)) for name, value in lines])


def _measured(unit_costs: UnitCosts) -> str:
    facts = {name: fact for name, fact in unit_costs.on.items() if name in _TOLD}
    return (
        f"Counted and weighed on {unit_costs.on['day']} with "
        + ", ".join(f"{name} {fact}" for name, fact in facts.items())
        + f"; bytes by {unit_costs.number:,} registrations of each kind."
    )


def _journeys(unit_costs: UnitCosts) -> str:
    lines = []
    for each in unit_costs.journeys:
        budget = costs.BUDGETS.get(each.name)
        lines.append(
            (
                each.title,
                f"{each.actions}" + (f" (≤ {budget.actions})" if budget else ""),
                f"{each.events}" + (f" (≤ {budget.events})" if budget else ""),
                f"{each.history_bytes:,} B",
                f"{each.transitions}" if each.transitions else "–",
                f"{sum(each.rows.values())}: {size(unit_costs.stored(each))}",
                " + ".join(f"{size / 1000:.1f} kB" for size in each.mails) or "–",
            )
        )
    return table(
        ("journey", "actions", "events", "history", "changes of state", "rows in our Postgres", "mails"), lines
    )


def _rows(unit_costs: UnitCosts) -> str:
    lines = [
        (
            name,
            f"{each.row_bytes:,.0f} B",
            f"{each.kept_bytes:,.0f} B",
            period(kept) if (kept := kept_for(name)) and each.kept < each.bytes else "–",
        )
        for name, each in unit_costs.tables.items()
    ]
    return table(("table", "a row with its indexes", "left of it for good", "the rest goes after"), lines)


def _engine(unit_costs: UnitCosts) -> str:
    engine = unit_costs.engine
    lines = [
        ("waits for its notice (open)", f"{engine.waiting:,.0f} B"),
        *((f"… of it `{name}`", f"{size:,.0f} B") for name, size in engine.waiting_by_table.items()),
        ("was asked, waits for the answer (open)", f"{engine.asked:,.0f} B"),
        ("no contact (over)", f"{engine.no_contact:,.0f} B"),
        ("notified (over)", f"{engine.notified:,.0f} B"),
    ]
    return table(("a workflow that", "in Temporal's database"), lines)


def compared(one: Capacity, played: year.Year) -> list[tuple[str, float, float]]:
    """What was reckoned and what was played out."""
    days = played.hours / 24
    peak = max(range(168), key=lambda hour: one.demand.by_hour["notified"][hour])
    noon = max(range(168), key=lambda hour: one.demand.mix.week[hour])
    units = one.units

    def in_year(what: Callable[[Unit], float]) -> tuple[float, float]:
        return one.each(what) * one.daily * days, sum(what(units[step]) * played.total(step) for step in units)

    def in_hour(steps: Sequence[str], hour: int) -> tuple[float, float]:
        reckoned = sum(one.demand.by_hour[step][hour] for step in steps) * one.daily / 24
        return reckoned, sum(played.by_hour_of_week(step)[hour] for step in steps)

    kept = year.stored(played.steps, {step: unit.keeps for step, unit in units.items()})
    arrivals = list(demand.FIRST_STEP.values())
    return [
        ("registrations", one.daily * days, played.arrivals),
        ("waiting, mean of all hours (Little's law)", one.open_waiting, sum(played.waiting) / played.hours),
        ("questions open, mean of all hours", one.open_asked, sum(played.asked) / played.hours),
        *((step, one.demand.steps[step] * one.daily * days, played.total(step)) for step in ("notified", "lapsed")),
        ("Temporal actions", *in_year(lambda unit: unit.actions)),
        ("mails", *in_year(lambda unit: unit.mails)),
        ("Temporal histories, MB", *in_year(lambda unit: unit.history_bytes / 1e6)),
        ("registrations in the busiest hour of the week", *in_hour(arrivals, noon)),
        ("notices in their busiest hour of the week", *in_hour(["notified"], peak)),
        ("our Postgres at the end, MB", one.stored_bytes(days / YEAR_DAYS) / 1e6, kept / 1e6),
    ]


def _check(one: Capacity, played: year.Year) -> str:
    lines = [
        (name, f"{reckoned:,.1f}", f"{found:,.1f}", f"{found / reckoned - 1:+.1%}")
        for name, reckoned, found in compared(one, played)
    ]
    agreement = table(("in a year of 52 weeks", "computed", "played out", "difference"), lines)
    arrivals = list(demand.FIRST_STEP.values())
    chart = []
    for name, steps in (("registrations", arrivals), ("notices", ["notified"]), ("lapses", ["lapsed"])):
        reckoned = [sum(one.demand.by_hour[step][hour] for step in steps) for hour in range(168)]
        found = [sum(hours) for hours in zip(*(played.by_hour_of_week(step) for step in steps), strict=True)]
        chart += [f"{name:<14}computed    {_spark(reckoned)}", f"{'':<14}played out  {_spark(found)}"]
    days = "".join(f"{day:<8}" for day in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))
    return "\n".join((agreement, "", "```text", f"{'':<26}{days}".rstrip(), *chart, "```"))


def _spark(hours: Sequence[float]) -> str:
    """A week in steps of three hours."""
    bins = [sum(hours[at : at + 3]) for at in range(0, 168, 3)]
    most = max(bins)
    return "".join(_LEVELS[min(int(value / most * len(_LEVELS)), len(_LEVELS) - 1)] for value in bins)


def _main(bench: Path, *, publish: bool) -> None:
    rates = Rates.read(bench)
    tables = sections(costs.read(), rates, play(demand.default()))
    for name, text in tables.items():
        print(f"\n{name}\n\n{text}")  # noqa: T201 - a command
    if publish:
        given.publish_rates(rates)
        PAGE.write_text(put(PAGE.read_text(encoding="utf-8"), tables), encoding="utf-8")


def main() -> None:
    """Prints the tables, or publishes them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bench", type=Path, default=RATES, help="where the rates are; bench.json after a run")
    parser.add_argument("--publish", action="store_true", help="write them into the page")
    arguments = parser.parse_args()
    _main(arguments.bench, publish=arguments.publish)
