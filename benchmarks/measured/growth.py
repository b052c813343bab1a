"""What does not grow: an operation's latency with the number of registrations, a worker's memory with those that wait.

The floor is the same operation, or the same worker, with few of them. Both databases are on one Postgres and are asked
in turn, so that whatever disturbs one disturbs the other.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from random import Random

import psutil  # type: ignore[import-untyped] # ships no type information

from benchmarks.figures import Figure, of_rounds
from benchmarks.measured.filling import Filled, digest_id, fill, person
from benchmarks.servers import Service, World
from consentflow.domain.acts import Actor
from consentflow.domain.clock import SystemClock
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.retention import RULES
from consentflow.operations.retention import Retention

FEW = 10_000
"""Registrations of the floor."""

FEW_WAITING = 1_000
"""Waiting registrations of the floor."""

AT_MOST, MEMORY_AT_MOST = 1.3, 1.1
OFFICER = Actor("benchmark")
IDLE = timedelta(seconds=5)
"""After this, what a worker took for delivering is free again, as far as it is freed at all."""

_new = count()


@dataclass(eq=False)
class Place:
    """A filled database, and what is still to be asked of it.

    Args:
        questions: Numbers of registrations whose question is open.
        digests: Numbers of subscribers of whom something is being collected that is due.
    """

    service: Service
    filled: Filled
    chance: Random = field(default_factory=lambda: Random(7))  # noqa: S311 - picks registrations
    questions: Iterator[int] = field(init=False)
    digests: Iterator[int] = field(init=False)

    def __post_init__(self) -> None:
        number = self.filled.number
        asked = [n for n in range(number * 4 // 5 + 1, number - 200) if n % 10 < 3 and n % 3 < 2 and n % 50 != 13]  # noqa: PLR2004
        self.questions = iter(self.chance.sample(asked, len(asked)))
        told = [n for n in range(self.filled.subscribers) if n % 20 != 3 and n % 100 != 99]  # noqa: PLR2004
        self.digests = iter(self.chance.sample(told, len(told)))

    @property
    def any_registration(self) -> int:
        """The number of one."""
        return self.chance.randint(1, self.filled.number)


Operation = Callable[[Place], Awaitable[object]]
"""What it returns is 0 when there was nothing to do."""


async def accept(place: Place) -> None:
    """A partner registers another contact of a company that it owns."""
    company = place.chance.randrange(place.filled.companies // 40) * 20 + 3
    registration = {
        "registration_id": f"new-{(n := next(_new))}",
        "partner_id": f"p-{company % place.filled.partners}",
        "registered_by": f"person{company}@partner.example",
        "contact": {"email": f"new{n}@company-{company}.example", "given_name": "Lea", "family_name": "Muster"},
        "company": {"name": "Company", "domain": f"company-{company}.example"},
        "country": "FR",
    }
    await place.service.parts.registrations.register(RegistrationIn.model_validate(registration))


async def confirm(place: Place) -> None:
    """A lead presses the button of its double opt-in."""
    await place.service.parts.consent.confirm(f"confirm-{next(place.questions)}")


async def explain(place: Place) -> None:
    """An officer reads why a lead was mailed."""
    await place.service.parts.explanations.explain(f"r-{place.any_registration}", OFFICER)


async def search(place: Place) -> None:
    """An officer looks up a company and a person."""
    parts = place.service.parts
    await parts.search.look_up(domain := f"company-{place.chance.randrange(place.filled.companies)}.example")
    await parts.search.of_company(domain)
    await parts.dossiers.find(person(place.any_registration), OFFICER)


async def digest(place: Place) -> None:
    """A subscriber's digest is decided and frozen."""
    await place.service.parts.digests.begin(digest_id(0, of_subscriber=next(place.digests)), 0)


def sweeping(rule: int) -> Operation:
    """One batch of the daily sweep, by one rule."""

    async def sweep(place: Place) -> int:
        retention = Retention(place.service.parts.database, SystemClock(), batch=20, rules=[RULES[rule]])
        async for batch in retention.sweep():
            return batch.rows
        return 0

    return sweep


@dataclass(frozen=True, slots=True)
class Measured:
    """What is measured.

    Args:
        often: How often in a round.
        nth: What is done the n-th time.
        stock: How often it can be done at all where there are `FEW`.
    """

    name: str
    often: int
    nth: Callable[[int], Operation]
    stock: int = 10**9


OPERATIONS = (
    Measured("accept", 200, lambda _: accept),
    Measured("confirm", 100, lambda _: confirm, stock=340),
    Measured("explain", 200, lambda _: explain),
    Measured("officer search", 200, lambda _: search),
    Measured("digest", 60, lambda _: digest, stock=180),
    Measured("retention sweep, a batch", 4 * len(RULES), lambda n: sweeping(n % len(RULES))),
)


async def growth(world: World, number: int, rounds: int) -> list[Figure]:
    """p95 of six operations with so many registrations, against the same with ten thousand."""
    async with _place(world, FEW) as few, _place(world, number) as many:
        return [await _against_few(each, few, many, rounds) for each in OPERATIONS]


@asynccontextmanager
async def _place(world: World, number: int) -> AsyncIterator[Place]:
    async with world.service(api=False, worker=False) as service:
        url = service.parts.settings.database_url.get_secret_value()
        yield Place(service, await fill(url, number, SystemClock().now().replace(microsecond=0)))


async def _against_few(measured: Measured, few: Place, many: Place, rounds: int) -> Figure:
    pairs: list[tuple[float, float]] = []
    often = min(measured.often, measured.stock // (rounds + 1))
    for number in range(rounds + 1):  # the first warms up
        least: list[float] = []
        mine: list[float] = []
        for n in range(often):
            # What came first may have been cold, or left something behind: so each comes first every other time.
            places = (few, many) if n % 2 else (many, few)
            took = {place.filled.number: await _milliseconds(measured.nth(n), place) for place in places}
            if None not in took.values():
                least.append(took[few.filled.number] or 0)
                mine.append(took[many.filled.number] or 0)
        if number:
            pairs.append((_p95(mine), _p95(least)))
    name = f"growth, {measured.name}: p95 at {many.filled.number:,} registrations"
    return of_rounds(name, "ms", AT_MOST, f"itself at {FEW:,}", pairs, at_most=True)


async def _milliseconds(operation: Operation, place: Place) -> float | None:
    began = time.perf_counter()
    done = await operation(place)
    return None if done == 0 else 1000 * (time.perf_counter() - began)


def _p95(values: Sequence[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1]


async def memory(world: World, number: int, rounds: int) -> Figure:
    """Resident memory of a worker that has delivered so many waiting registrations, against one with a thousand."""
    pairs = []
    for _ in range(min(rounds, 1 if number > FEW_WAITING * 10 else 2)):
        few, many = await _memory_with(world, FEW_WAITING), await _memory_with(world, number)
        pairs.append((many, few))
    return of_rounds(
        f"growth, worker memory with {number:,} waiting registrations",
        "MB",
        MEMORY_AT_MOST,
        f"itself with {FEW_WAITING:,}",
        pairs,
        at_most=True,
    )


_WAITING = """
    INSERT INTO outbox (topic, payload)
    SELECT 'registration.start', jsonb_build_object(
        'registration_id', 'waits-' || n, 'kind', 'lead', 'regime', 'delayed_notice', 'revision', 1,
        'step', 'send_notice', 'at', $2::text, 'due_at', $2::text
    ) FROM generate_series(1, $1) AS n
"""


async def _memory_with(world: World, number: int) -> float:
    async with world.service(api=False) as service:
        assert service.worker  # noqa: S101 - it was asked for
        worker = psutil.Process(service.worker)
        async with service.parts.database.transaction() as connection:
            due = SystemClock().now() + timedelta(days=30)
            await connection.execute(_WAITING, number, due.isoformat())
        await service.until("SELECT count(*) FROM outbox", 0)
        await asyncio.sleep(IDLE.total_seconds())
        return float(worker.memory_info().rss) / 1e6
