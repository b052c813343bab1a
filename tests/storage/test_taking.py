"""Taking registrations in sets: the same comes of them as one by one, and no neighbour is in anybody's way."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from consentflow.domain.errors import Conflict, InvalidInput, NotStorable, RegistrationConflict, StorageUnavailable
from consentflow.domain.events import CloudEvent
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.letters import LetterKind
from consentflow.operations.registrations import MOST_AT_ONCE, Taken
from consentflow.runtime import Parts
from consentflow.storage.mails import StoredMail
from tests.conftest import HandClock, make_settings

Json = dict[str, Any]
Result = Taken | InvalidInput | Conflict


def body(registration_id: str, email: str = "lea@firma.example", **more: object) -> Json:
    return {
        "registration_id": registration_id,
        "partner_id": "p-1",
        "contact": {"email": email},
        "country": "FR",
    } | more


def request(registration_id: str, email: str = "lea@firma.example", **more: object) -> RegistrationIn:
    return RegistrationIn.model_validate(body(registration_id, email, **more))


async def rows(parts: Parts, query: str) -> list[Json]:
    async with parts.database.transaction() as connection:
        return [dict(row) for row in await connection.fetch(query)]


# One by one, or together.

LEADS = ["lea@firma.example", "LEA@firma.example", "kim@other.example", "leam@gmail.com", "Lea.M+x@googlemail.com"]
PEOPLE = ["ana@partner.example", "Ana@partner.example", "lea@firma.example", "gil@vendor.example"]
BODIES = st.fixed_dictionaries(
    {
        "registration_id": st.sampled_from(["r-1", "r-2", "r-3", "r-4", "r-5", "r-6"]),
        "partner_id": st.sampled_from(["p-1", "p-1", "p-2"]),
        "contact": st.fixed_dictionaries(
            {"email": st.sampled_from(LEADS)},
            optional={"given_name": st.sampled_from(["Lea", "Kim"]), "language": st.sampled_from(["de", ""])},
        ),
    },
    optional={
        "kind": st.sampled_from(["lead", "deal", "deal"]),
        "registered_by": st.sampled_from(PEOPLE),
        "company": st.fixed_dictionaries({"domain": st.sampled_from(["firma.example", "third.example", "gmail.com"])}),
        "country": st.sampled_from(["DE", "DE", "CH", "FR", "US"]),
        "registered_at": st.sampled_from(["2026-10-01T00:00:00Z", "2027-01-01T00:00:00Z"]),
        "deal_reference": st.just("OPP-1"),
        "growth_specialist": st.sampled_from(PEOPLE),
    },
)
BEFORE = st.lists(
    st.one_of(
        st.tuples(st.just("registered"), BODIES),
        st.tuples(st.just("mailed"), st.sampled_from(["r-1", "r-2", "r-3"])),
        st.tuples(st.sampled_from(["contact.objected", "contact.opted_in"]), st.sampled_from(LEADS)),
        st.tuples(st.sampled_from(["customer", "available"]), st.sampled_from(["firma.example", "other.example"])),
        st.tuples(st.just("passed"), st.sampled_from([1, 100, 200])),
    ),
    max_size=4,
)


async def happened(parts: Parts, clock: HandClock, what: str, value: Any) -> None:  # noqa: ANN401 - of each its own
    """What may be on record when the set comes."""
    match what:
        case "registered":
            await parts.registrations.register_all([RegistrationIn.model_validate(value)])
        case "mailed":
            if await rows(parts, f"SELECT FROM registrations WHERE registration_id = '{value}'"):
                mail = await parts.sending.begin(value, LetterKind.DOUBLE_OPT_IN)
                if isinstance(mail, StoredMail):
                    await parts.sending.accepted(mail.mail_id, "2.0.0 taken")
        case "passed":
            clock.pass_time(days=value)
        case "customer" | "available":
            await parts.accounts.set_status(value, what)
        case _:
            event = {
                "specversion": "1.0",
                "id": str(clock.now()),
                "source": "site",
                "type": what,
                "data": {"email": value},
            }
            await parts.events.record([CloudEvent.model_validate(event)])


class Names:
    """The same name for the same random id, in the order in which they are met."""

    def __init__(self) -> None:
        self._met: dict[object, str] = {}

    def plain(self, value: object) -> object:
        if isinstance(value, UUID):
            return self._met.setdefault(value, f"id {len(self._met)}")
        if isinstance(value, dict):
            return {key: self.plain(each) for key, each in value.items()}
        return value


def told(results: Sequence[Result], names: Names) -> list[object]:
    found: list[object] = []
    for each in results:
        if isinstance(each, Taken):
            standing = each.standing
            asked = names.plain(standing.registration.question_id)
            timeline = [(entry.at, entry.event, list(entry.detail.items())) for entry in standing.timeline]
            found.append((each.new, standing.registration.registration_id, asked, standing.owned_until, timeline))
        else:
            found.append((type(each), each.code, str(each)))
    return found


async def everything(parts: Parts, names: Names) -> dict[str, list[object]]:
    """All that is stored; random ids by the order of the registrations, entries and messages in theirs."""
    queries = {
        "registrations": "SELECT * FROM registrations ORDER BY registration_id",
        "questions": "SELECT * FROM questions ORDER BY registration_id, outcome NULLS LAST",
        "contacts": "SELECT * FROM contacts ORDER BY subject",
        "ownerships": "SELECT * FROM ownerships ORDER BY domain",
        "subscribers": "SELECT * FROM subscribers ORDER BY partner_id, subject",
        "specialists": "SELECT * FROM specialist_companies ORDER BY subscriber_id, domain",
        "ledger": """
            SELECT at, subject, registration_id, event, detail - 'mail_id' AS detail FROM ledger ORDER BY entry_id
        """,
        "outbox": "SELECT topic, payload FROM outbox ORDER BY outbox_id",
    }
    found = {name: [names.plain(row) for row in await rows(parts, query)] for name, query in queries.items()}
    found["specialists"].sort(key=str)
    return found


async def emptied(parts: Parts) -> None:
    async with parts.database.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        for name in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            if "pogo" not in name["tablename"]:
                await connection.execute(f"DELETE FROM {name['tablename']}")


@pytest.fixture
async def other_parts(postgres_url: str, clock: HandClock) -> AsyncIterator[Parts]:
    """A second service with the same secrets and the same clock, on a database of its own."""
    connection = await asyncpg.connect(postgres_url.format(database="postgres"))
    await connection.execute("CREATE DATABASE test_one_by_one TEMPLATE template_migrated STRATEGY wal_log")
    try:
        built = Parts(make_settings(postgres_url.format(database="test_one_by_one")), clock)
        async with built.database:
            yield built
    finally:
        await connection.execute("DROP DATABASE test_one_by_one WITH (FORCE)")
        await connection.close()


def test_a_set_leads_to_exactly_what_its_members_lead_to_one_by_one(
    parts: Parts, other_parts: Parts, clock: HandClock
) -> None:
    beginning = clock.now()

    async def check(before: list[tuple[str, Any]], bodies: list[Json]) -> None:
        for service in (parts, other_parts):
            clock.at = beginning
            await emptied(service)
            for what, value in before:
                await happened(service, clock, what, value)
        requests = [RegistrationIn.model_validate(each) for each in bodies]
        single: list[Result] = []
        for each in requests:
            single += await other_parts.registrations.register_all([each])
        together = await parts.registrations.register_all(requests)
        mine, others = Names(), Names()
        assert told(together, mine) == told(single, others)
        assert await everything(parts, mine) == await everything(other_parts, others)

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:

        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(BEFORE, st.lists(BODIES, min_size=1, max_size=8))
        def each_time(before: list[tuple[str, Any]], bodies: list[Json]) -> None:
            runner.run(check(before, bodies))

        try:
            each_time()
        finally:
            runner.run(parts.database.close())
            runner.run(other_parts.database.close())


async def test_a_set_larger_than_a_transaction_takes_is_taken_in_order(parts: Parts) -> None:
    requests = [request(f"r-{n}", f"lea{n % 30}@firma.example", country="DE") for n in range(MOST_AT_ONCE + 20)]
    results = await parts.registrations.register_all(requests)
    assert [each.standing.registration.registration_id for each in results if isinstance(each, Taken)] == [
        each.registration_id for each in requests
    ]
    assert len(await rows(parts, "SELECT FROM questions")) == 30
    assert len(await rows(parts, "SELECT DISTINCT xmin::text FROM registrations")) == 2


async def test_nothing_is_taken_of_no_requests(parts: Parts) -> None:
    assert await parts.registrations.register_all([]) == []


# Neighbours.


async def test_one_that_cannot_be_stored_fails_nobody_else(parts: Parts) -> None:
    async with parts.database.transaction() as connection:
        await connection.execute(
            """
            CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'no'; END $$;
            CREATE TRIGGER refuses BEFORE INSERT ON registrations FOR EACH ROW WHEN (NEW.registration_id = 'bad')
                EXECUTE FUNCTION refuses();
            """
        )
    results = await parts.registrations.register_all(
        [request("r-1"), request("bad", "kim@firma.example"), request("r-2", country="DE")]
    )
    assert [type(each) for each in results] == [Taken, NotStorable, Taken]
    together = await asyncio.gather(
        parts.registrations.register(request("r-3", "max@firma.example")),
        parts.registrations.register(request("bad", "kim@firma.example")),
        parts.registrations.register(request("r-4", "max@firma.example")),
        return_exceptions=True,
    )
    assert [isinstance(each, asyncpg.RaiseError) for each in together] == [False, True, False]
    stored = [row["registration_id"] for row in await rows(parts, "SELECT * FROM registrations ORDER BY 1")]
    assert stored == ["r-1", "r-2", "r-3", "r-4"]


async def test_of_two_sets_with_the_same_ids_and_other_content_each_id_is_taken_once(parts: Parts) -> None:
    ids = [f"r-{n}" for n in range(40)]
    one = [request(each, f"lea{each}@firma.example") for each in ids]
    other = [request(each, f"kim{each}@firma.example") for each in reversed(ids)]
    results = await asyncio.gather(parts.registrations.register_all(one), parts.registrations.register_all(other))
    by_id = zip(results[0], reversed(results[1]), strict=True)
    for pair in by_id:
        assert {type(each) for each in pair} == {Taken, RegistrationConflict}


async def test_sets_that_overlap_in_opposite_orders_never_wait_for_each_other_in_a_ring(parts: Parts) -> None:
    chance = random.Random(7)
    people = [f"person{n}@company{n % 7}.example" for n in range(24)]

    def shuffled(number: int) -> list[RegistrationIn]:
        leads = chance.sample(people, len(people))
        return [
            # Whoever is a lead here is a registrant, or a growth specialist, there.
            request(
                f"r-{number}-{n}" if n % 3 else f"shared-{n}",
                lead,
                registered_by=leads[-n],
                kind="deal",
                country="DE",
                growth_specialist=leads[n - 5],
            )
            for n, lead in enumerate(leads)
        ]

    async with asyncio.timeout(60):
        for turn in range(3):
            sets = [shuffled(turn * 10 + n) for n in range(6)]
            answers = await asyncio.gather(*(parts.registrations.register_all(each) for each in sets))
            assert {type(each) for answer in answers for each in answer} <= {Taken, RegistrationConflict}


# Single requests at the same time.


async def test_requests_at_the_same_time_share_transactions(parts: Parts) -> None:
    answers = await asyncio.gather(
        *(parts.registrations.register(request(f"r-{n}", f"lea{n}@firma.example")) for n in range(60))
    )
    assert all(new for _, new in answers)
    assert len(await rows(parts, "SELECT DISTINCT xmin::text FROM registrations")) < 6


async def test_each_of_those_at_the_same_time_gets_its_own_answer(parts: Parts) -> None:
    await parts.registrations.register(request("r-1"))
    taken, again, other, refused = await asyncio.gather(
        parts.registrations.register(request("r-2")),
        parts.registrations.register(request("r-1")),
        parts.registrations.register(request("r-1", country="DE")),
        parts.registrations.register(request("r-3", deal_reference="OPP-1")),
        return_exceptions=True,
    )
    assert isinstance(taken, tuple)
    assert isinstance(again, tuple)
    assert (taken[0].registration.registration_id, taken[1]) == ("r-2", True)
    assert (again[0].registration.registration_id, again[1]) == ("r-1", False)
    assert isinstance(other, RegistrationConflict)
    assert isinstance(refused, InvalidInput)


async def test_whoever_hangs_up_harms_no_other(parts: Parts) -> None:
    tasks = [
        asyncio.create_task(parts.registrations.register(request(f"r-{n}", f"lea{n}@firma.example"))) for n in range(20)
    ]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in answers[::2])
    assert all(isinstance(each, tuple) for each in answers[1::2])


async def test_a_lead_that_is_held_elsewhere_holds_up_no_other(parts: Parts) -> None:
    await parts.registrations.register(request("r-1"))
    subject = (await rows(parts, "SELECT subject FROM registrations"))[0]["subject"]
    async with parts.database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", subject)
        held = asyncio.create_task(parts.registrations.register(request("r-2")))
        async with asyncio.timeout(60):
            while not await connection.fetchval(
                "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
            ):
                await asyncio.sleep(0.01)
            await parts.registrations.register(request("r-3", "kim@other.example"))
        assert not held.done()
    _, new = await held
    assert new


async def test_while_postgres_is_away_all_of_them_hear_it(clock: HandClock) -> None:
    parts = Parts(make_settings("postgresql://nobody@127.0.0.1:1/none"), clock)
    answers = await asyncio.gather(
        *(parts.registrations.register(request(f"r-{n}")) for n in range(5)), return_exceptions=True
    )
    assert [type(each) for each in answers] == [StorageUnavailable] * 5
