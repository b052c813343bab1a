"""What each journey costs: Temporal's actions, history, rows and mail, counted from one run of each on real servers.

``python -m benchmarks.costs`` prints the tables and writes them to ``benchmarks/costs/costs.json``, from which
`benchmarks.capacity.sizing` reckons. Counting needs no quiet machine: nothing here is a matter of speed.
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from benchmarks.costs.engine import EngineBytes, engine_bytes
from benchmarks.costs.journeys import REGISTRATIONS
from benchmarks.costs.other_journeys import OTHERS, SKIPPING
from benchmarks.costs.stored import TableBytes, set_up, table_bytes
from benchmarks.costs.watch import Journey, Watch, title
from benchmarks.figures import Figure
from benchmarks.machine import describe
from benchmarks.servers import World, database, world
from consentflow.dev.clock import SteppedClock, TimeMachine
from consentflow.dev.temporal import connect, time_skipping_server
from consentflow.neighbours import prepare_search_attributes
from tests.workflow import cost
from tests.workflow.service import PostOffice, Service, SkippingService, make_parts

RESULTS = Path(__file__).with_name("costs.json")

BUDGETS: Mapping[str, cost.Cost] = {
    "no_contact": cost.NO_CONTACT,
    "waiting": cost.WAITING,
    "satisfied": cost.SATISFIED,
    "notified": cost.NOTIFIED,
    "confirmed": cost.CONFIRMED,
}
"""By journey; the same that the tests hold the code to."""

BUDGETED = tuple(journey for journey in REGISTRATIONS if journey.__name__ in BUDGETS)


@dataclass(frozen=True, slots=True)
class Cost:
    """What one journey costs.

    Args:
        name: Of the journey.
        title: The same for people.
        actions: As Temporal Cloud bills them.
        events: In all histories together.
        history_bytes: Of all histories, as they are serialized.
        transitions: Changes of state that the server wrote; 0 where it does not count them.
        rows: Added to each table; what is deleted again by the end is not in it.
        mails: How large each mail was that arrived, bytes.
    """

    name: str
    title: str
    actions: int
    events: int
    history_bytes: int
    transitions: int
    rows: Mapping[str, int] = field(default_factory=dict)
    mails: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """Everything that was measured.

    Args:
        on: The day, the machine and the versions.
        number: Registrations of each kind where bytes were weighed.
        tables: By table of our database.
        wal_bytes: Written by our Postgres for each registration, from taking it to its end.
        engine: What Temporal's database needs for a workflow.
    """

    on: Mapping[str, str]
    number: int
    journeys: Sequence[Cost]
    tables: Mapping[str, TableBytes]
    wal_bytes: float
    engine: EngineBytes

    def journey(self, name: str) -> Cost:
        """The one of that name."""
        return next(each for each in self.journeys if each.name == name)

    def stored(self, journey: Cost) -> float:
        """Bytes that a journey's rows need in our Postgres, where their tables were weighed."""
        return sum(rows * self.tables[name].row_bytes for name, rows in journey.rows.items() if name in self.tables)


def read(file: Path = RESULTS) -> UnitCosts:
    """What was measured last."""
    content = json.loads(file.read_text())
    return UnitCosts(
        content["on"],
        content["number"],
        tuple(Cost(**each) for each in content["journeys"]),
        {name: TableBytes(**each) for name, each in content["tables"].items()},
        content["wal_bytes"],
        EngineBytes(**content["engine"]),
    )


async def costs(servers: World, journeys: Sequence[Journey] = (*REGISTRATIONS, *OTHERS, *SKIPPING)) -> list[Cost]:
    """One run of each journey, on a database of its own."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for journey in journeys:
            running = _skipping if journey in SKIPPING else _real
            async with running(servers, Path(folder) / journey.__name__) as watch:
                found.append(await _cost(watch, journey))
    return found


def figures(found: Sequence[Cost]) -> list[Figure]:
    """Those that have a budget, against it."""
    lines = []
    for each in found:
        if budget := BUDGETS.get(each.name):
            for unit, ours, most in (("actions", each.actions, budget.actions), ("events", each.events, budget.events)):
                name = f"{each.title[0].lower()}{each.title[1:]}: Temporal {unit}"
                lines.append(Figure(name, unit, ours, most, ours / most, 1, "the budget", at_most=True))
    return lines


async def _cost(watch: Watch, journey: Journey) -> Cost:
    ids = await journey(watch)
    sent = set(await watch.mail_ids()) - watch.mails
    runs = [run for each in (*ids, *(f"mail/{mail}" for mail in sorted(sent))) if (run := await _run(watch, each))]
    after = await watch.counted()
    added = {name: more for name, rows in after.items() if (more := rows - watch.rows.get(name, 0))}
    return Cost(
        journey.__name__,
        title(journey),
        sum(run.actions for run, _ in runs),
        sum(run.events for run, _ in runs),
        sum(run.history_bytes for run, _ in runs),
        sum(transitions for _, transitions in runs),
        added,
        sorted(watch.mailed_bytes()),
    )


async def _run(watch: Watch, workflow_id: str) -> tuple[cost.Cost, int] | None:
    """What a workflow cost, and its changes of state; None when there is none of that id."""
    handle = watch.service.client.get_workflow_handle(workflow_id)
    try:
        history = await handle.fetch_history()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    info = (await handle.describe()).raw_description.workflow_execution_info
    return cost.cost_of(history), info.state_transition_count


@asynccontextmanager
async def _real(servers: World, folder: Path) -> AsyncIterator[Watch]:
    folder.mkdir()
    async with database(servers.postgres_url, folder.name) as url:
        clock, post = SteppedClock(folder / "clock.json"), PostOffice(folder / "mail")
        parts = make_parts(url, clock, servers.temporal_address, post.port)
        async with parts.database, post.open():
            await set_up(parts)
            yield Watch(Service(parts, servers.temporal, post.maildir), clock)


@asynccontextmanager
async def _skipping(servers: World, folder: Path) -> AsyncIterator[Watch]:
    folder.mkdir()
    async with database(servers.postgres_url, folder.name) as url, time_skipping_server() as address:
        client: Client = await connect(address)
        await prepare_search_attributes(client)
        clock, post = SteppedClock(folder / "clock.json"), PostOffice(folder / "mail")
        parts = make_parts(url, clock, address, post.port)
        machine = TimeMachine(clock, client, parts.agenda)
        service = SkippingService(parts, client, post.maildir, clock, machine)
        async with parts.database, post.open():
            await set_up(parts)
            async with service.working():
                yield Watch(service, clock)


async def measured(servers: World, folder: Path, number: int) -> UnitCosts:
    """Everything, with so many registrations of each kind where bytes are weighed."""
    journeys = await costs(servers)
    tables, wal = await table_bytes(servers, number)
    on = {"day": f"{datetime.now(UTC):%Y-%m-%d}", **await describe(servers.postgres_url)}
    return UnitCosts(on, number, journeys, tables, wal, await engine_bytes(servers, folder, number))


def tables(unit_costs: UnitCosts) -> list[Table]:
    """For people."""
    journeys = Table("journey", "actions", "events", "history", "transitions", "rows", "mails", title="Of each journey")
    for each in unit_costs.journeys:
        rows, mails = sum(each.rows.values()), " + ".join(f"{size:,}" for size in each.mails)
        numbers = (each.actions, each.events, f"{each.history_bytes:,} B", each.transitions or "–", rows, mails or "–")
        journeys.add_row(each.title, *map(str, numbers))
    stored = Table("table", "rows", "B a row", "B a row after 15 months", title="Of each row, indexes included")
    for name, table in unit_costs.tables.items():
        stored.add_row(name, f"{table.rows:,}", f"{table.row_bytes:,.0f}", f"{table.kept_bytes:,.0f}")
    return [journeys, stored]


async def _main(number: int) -> None:
    with tempfile.TemporaryDirectory(prefix="consentflow-costs-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres may run as another user
        async with world(folder) as servers:
            found = await measured(servers, folder, number)
    RESULTS.write_text(json.dumps(asdict(found), indent=1) + "\n")
    out = Console()
    for table in tables(found):
        out.print(table)
    out.print(found.engine, f"WAL a registration: {found.wal_bytes:,.0f} B")


def main() -> None:
    """Counts and weighs anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=2000, help="registrations of each kind where bytes are weighed")
    asyncio.run(_main(parser.parse_args().number))
