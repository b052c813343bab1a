"""The sweep on a real Postgres: what goes, what stays, in batches that read no whole table."""

import asyncio
import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from consentflow.domain.acts import Actor
from consentflow.domain.addresses import Subject
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.retention import LOOK_AGAIN, RULES
from consentflow.operations.retention import Retention
from consentflow.runtime import Parts
from consentflow.storage import retention, taking
from consentflow.storage.contacts import Contact
from consentflow.storage.pool import Connection
from consentflow.storage.retention import SWEEPS
from consentflow.storage.taking import New
from tests.conftest import BEGINNING, HandClock

RULE = {rule.name: rule for rule in RULES}
OLD = timedelta(days=5 * 366)
INSTANT = timedelta(microseconds=1)

_MAIL = """
    INSERT INTO mails (mail_id, purpose, subject, about, state, message_id, envelope_from, envelope_to, content,
                       content_sha256, language, text_version, frozen_at)
    SELECT gen_random_uuid(), '{purpose}', 's', gen_random_uuid(), '{state}', 'm', 'b@ours.example',
           'lea@firma.example', 'bytes', '', 'de', 'v', $1::timestamptz FROM generate_series(1, $2)
"""
_TOKEN = """
    INSERT INTO tokens (token_sha256, purpose, subject, language, expires_at)
    SELECT sha256(gen_random_uuid()::text::bytea), '{purpose}', 's', 'de', $1::timestamptz FROM generate_series(1, $2)
"""
_REQUEST = """
    INSERT INTO source_requests (request_id, subject, email, name, message, reason, language, channel, state,
                                 received_at, opened_at, target, deadline, closed_at, version)
    SELECT gen_random_uuid()::text, 's', 'lea@firma.example', 'Lea', 'words', 'words', 'de', 'form', 'disclosed',
           $1::timestamptz, $1, $1, $1, $1, 1 FROM generate_series(1, $2)
"""
_SUBSCRIBER = """
    WITH subscriber AS (
        INSERT INTO subscribers (subscriber_id, partner_id, kind, subject, email, delivery, state, created_at)
        SELECT gen_random_uuid(), 'p', 'partner', gen_random_uuid()::text, 'ana@partner.example', 'daily', '{state}',
               {created}::timestamptz FROM generate_series(1, $2) RETURNING subscriber_id
    )
"""
OF_AGE = {
    "mails": _MAIL.format(purpose="digest", state="accepted"),
    "answers": _MAIL.format(purpose="source_decision", state="accepted"),
    "registration_texts": """
        INSERT INTO registrations (registration_id, kind, partner_id, subject, company_name, country_received, regime,
            reason, state, registered_at, accepted_at, policy_version, revision, fingerprint)
        SELECT gen_random_uuid(), 'lead', 'p', 's', 'Lea Muster Consulting', 'Lummerland', 'no_contact', '',
               'no_contact', $1::timestamptz, $1, 'v', 1, '' FROM generate_series(1, $2)
    """,
    "unconfirmed_subscribers": _SUBSCRIBER.format(state="pending", created="$1") + "SELECT",
    "request_texts": _REQUEST,
    "requests": _REQUEST,
    "sign_ins": """
        INSERT INTO sign_ins (sign_in_id, door, email, language, asked_at)
        SELECT gen_random_uuid(), 'partner', 'ana@partner.example', 'de', $1::timestamptz FROM generate_series(1, $2)
    """,
    "sessions": """
        INSERT INTO sessions (session_sha256, door, subject, language, created_at, last_used_at, expires_at)
        SELECT sha256(gen_random_uuid()::text::bytea), 'partner', 's', 'de', $1::timestamptz, $1, $1
        FROM generate_series(1, $2)
    """,
    "links": _TOKEN.format(purpose="unsubscribe"),
    "door_links": _TOKEN.format(purpose="sign_in"),
    "company_actions": """
        INSERT INTO company_actions (partner_id, domain, action, hour, count)
        SELECT gen_random_uuid(), 'firma.example', 'demo_requested', $1::timestamptz, 1 FROM generate_series(1, $2)
    """,
    "told": _SUBSCRIBER.format(state="active", created="now()")
    + """
        INSERT INTO told (subscriber_id, hour, domain, action, digest_id, count)
        SELECT subscriber_id, $1::timestamptz, 'firma.example', 'demo_requested', gen_random_uuid(), 1 FROM subscriber
    """,
    "digests": _SUBSCRIBER.format(state="active", created="now()")
    + """
        INSERT INTO digests (digest_id, subscriber_id, opened_at, due_at, closed_at)
        SELECT gen_random_uuid(), subscriber_id, $1::timestamptz, $1, $1 FROM subscriber
    """,
    "events": """
        INSERT INTO events (source, event_id, type, recorded_at)
        SELECT 'site', gen_random_uuid(), 'x', $1::timestamptz FROM generate_series(1, $2)
    """,
}
"""Rows of any age, by rule."""


async def there_is(parts: Parts, name: str, at: datetime, rows: int = 1) -> None:
    async with parts.database.transaction() as connection:
        await connection.execute(OF_AGE[name], at, rows)


async def left(parts: Parts, name: str) -> int:
    """How many rows still hold what the rule is about."""
    sweep = SWEEPS[name]
    async with parts.database.transaction() as connection:
        count: int = await connection.fetchval(f"SELECT count(*) FROM {sweep.table} WHERE {sweep.condition}")
    return count


async def swept(parts: Parts, batch: int = 1000) -> Counter[str]:
    gone = Counter[str]()
    async for each in Retention(parts.database, parts.clock, batch).sweep():
        gone[each.rule.name] += each.rows
    return +gone


@pytest.mark.parametrize("name", SWEEPS)
async def test_what_was_kept_long_enough_goes_and_nothing_before(parts: Parts, name: str) -> None:
    cutoff = RULE[name].cutoff(BEGINNING)
    await there_is(parts, name, cutoff)
    assert (await swept(parts))[name] == 0
    await there_is(parts, name, cutoff - INSTANT)
    assert await left(parts, name) == 2
    assert (await swept(parts))[name] == 1
    assert await left(parts, name) == 1
    assert (await swept(parts))[name] == 0


@pytest.mark.parametrize("name", [name for name, sweep in SWEEPS.items() if sweep.emptied])
async def test_where_only_words_go_the_row_stays_and_holds_none_of_them(parts: Parts, name: str) -> None:
    await there_is(parts, name, BEGINNING - OLD)
    await swept(parts)
    async with parts.database.transaction() as connection:
        (row,) = await connection.fetch(f"SELECT {', '.join(SWEEPS[name].emptied)} FROM {SWEEPS[name].table}")
    assert set(row.values()) == {None}


async def test_a_mail_that_is_still_to_leave_keeps_its_bytes(parts: Parts) -> None:
    async with parts.database.transaction() as connection:
        for state in ("frozen", "attempting"):
            await connection.execute(_MAIL.format(purpose="digest", state=state), BEGINNING - OLD, 1)
    assert await swept(parts) == {}


async def test_a_letter_that_answers_a_request_outlasts_other_mails(parts: Parts, clock: HandClock) -> None:
    for name in ("mails", "answers"):
        await there_is(parts, name, BEGINNING)
    clock.pass_time(days=91)
    assert await swept(parts) == {"mails": 1}
    clock.at = datetime(2030, 1, 1, tzinfo=BEGINNING.tzinfo)
    assert await swept(parts) == {"answers": 1}


async def test_an_open_question_and_an_open_request_are_nobodys_to_sweep(parts: Parts) -> None:
    async with parts.database.transaction() as connection:
        await connection.execute(_REQUEST, BEGINNING - OLD, 1)
        await connection.execute("UPDATE source_requests SET closed_at = NULL, state = 'in_review'")
    assert await swept(parts) == {}


async def test_the_forecast_says_what_the_sweep_then_does_and_changes_nothing(parts: Parts, clock: HandClock) -> None:
    for number, name in enumerate(SWEEPS, start=1):
        await there_is(parts, name, BEGINNING - OLD, number)
    await registered(parts, "r-1")
    clock.pass_time(days=366)
    before = await everything(parts)
    forecast = {each.rule.name: each.outlook for each in await parts.retention.forecast()}
    assert await everything(parts) == before
    assert set(forecast) == set(RULE)
    assert forecast["told"].oldest == BEGINNING - OLD
    gone = await swept(parts)
    # A request loses its words by one rule and its address by the other; an expired link goes by whichever comes first.
    assert {name: gone[name] for name in RULE} == {
        name: each.rows - (gone["links"] - forecast["links"].rows if name == "links" else 0)
        for name, each in forecast.items()
        if name != "door_links"
    } | {"door_links": 0}
    assert all(each.outlook.rows == 0 for each in await parts.retention.forecast())


async def test_many_rows_go_in_small_transactions_each_of_which_is_on_record(parts: Parts) -> None:
    await there_is(parts, "company_actions", BEGINNING - OLD, 25)
    assert await swept(parts, batch=10) == {"company_actions": 25}
    async with parts.database.transaction() as connection:
        entries = await connection.fetch("SELECT subject, detail FROM ledger WHERE event = 'swept' ORDER BY entry_id")
    assert [(entry["subject"], entry["detail"]) for entry in entries] == [
        (None, {"actor": "service", "act": "swept", "rule": "company_actions", "rows": rows}) for rows in (10, 10, 5)
    ]
    assert (await parts.ledger.verify()).flaws == ()


async def test_the_oldest_goes_first(parts: Parts) -> None:
    for days in (1, 3, 2):
        await there_is(parts, "events", BEGINNING - OLD - timedelta(days=days))
    sweep = Retention(parts.database, parts.clock, 1).sweep()
    async for each in sweep:
        if each.rule.name == "events":
            break
    await sweep.aclose()  # type: ignore[attr-defined] # an asynchronous generator, which says only that it is an iterator
    async with parts.database.transaction() as connection:
        kept = await connection.fetch("SELECT recorded_at FROM events ORDER BY recorded_at")
    assert [row["recorded_at"] for row in kept] == [BEGINNING - OLD - timedelta(days=days) for days in (2, 1)]


async def test_a_sweep_that_was_broken_off_is_taken_up_by_the_next(parts: Parts) -> None:
    await there_is(parts, "events", BEGINNING - OLD, 30)
    seen = 0
    async for each in Retention(parts.database, parts.clock, 10).sweep():
        seen += each.rows
        if seen == 10:
            break
    assert await swept(parts, batch=10) == {"events": 20}


@pytest.mark.parametrize("name", SWEEPS)
async def test_rows_that_somebody_else_holds_are_passed_over_and_hold_up_nobody(parts: Parts, name: str) -> None:
    await there_is(parts, name, BEGINNING - OLD, 3)
    table = SWEEPS[name].table
    async with parts.database.transaction() as connection:
        await connection.execute(f"SELECT FROM {table} WHERE ctid = (SELECT min(ctid) FROM {table}) FOR UPDATE")
        gone = await asyncio.wait_for(swept(parts), 30)
        assert gone[name if name != "door_links" else "links"] == 2
    assert (await swept(parts))[name if name != "door_links" else "links"] == 1


# Whom nobody needs any more.


async def registered(
    parts: Parts,
    registration_id: str,
    *,
    email: str = "lea@firma.example",
    by: str | None = None,
    country: str = "US",
) -> None:
    content = {
        "registration_id": registration_id,
        "partner_id": "p-1",
        "registered_by": by,
        "contact": {"email": email, "given_name": "Lea"},
        "country": country,
    }
    await parts.registrations.register(RegistrationIn.model_validate(content))


async def contacts(parts: Parts) -> list[str]:
    async with parts.database.transaction() as connection:
        return [row["email"] for row in await connection.fetch("SELECT email FROM contacts ORDER BY email")]


async def everything(parts: Parts) -> str:
    async with parts.database.transaction() as connection:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        return "\n".join(
            [str(await connection.fetchval(f"SELECT json_agg(t) FROM {row['tablename']} t")) for row in tables]
        )


async def test_a_lead_goes_when_its_registration_has_expired(parts: Parts, clock: HandClock) -> None:
    await registered(parts, "r-1")
    clock.pass_time(days=365)
    assert (await swept(parts))["contacts"] == 0
    clock.pass_time(seconds=1)
    assert (await swept(parts))["contacts"] == 1
    assert await contacts(parts) == []
    async with parts.database.transaction() as connection:
        (entry,) = await connection.fetch("SELECT detail FROM ledger WHERE event = 'contact_erased'")
    assert entry["detail"] == {"because": "not_needed"}


async def test_a_lead_that_was_registered_again_stays_for_a_year_from_then(parts: Parts, clock: HandClock) -> None:
    await registered(parts, "r-1")
    clock.pass_time(days=200)
    await registered(parts, "r-2")
    clock.pass_time(days=300)
    assert (await swept(parts))["contacts"] == 0
    clock.pass_time(days=67)
    assert (await swept(parts))["contacts"] == 1


async def test_a_lead_that_agreed_stays_until_it_takes_its_consent_back(parts: Parts, clock: HandClock) -> None:
    await registered(parts, "r-1")
    await fact(parts, "opted_in")
    clock.pass_time(days=5 * 366)
    assert (await swept(parts))["contacts"] == 0
    clock.pass_time(days=1)
    await fact(parts, "consent_withdrawn")
    assert (await swept(parts))["contacts"] == 0  # it was looked at yesterday
    clock.at += LOOK_AGAIN + timedelta(seconds=1)
    assert (await swept(parts))["contacts"] == 1


async def test_a_lead_whose_registration_still_waits_for_something_stays(parts: Parts, clock: HandClock) -> None:
    await registered(parts, "r-1", country="FR")
    clock.pass_time(days=400)
    assert (await swept(parts))["contacts"] == 0
    assert await contacts(parts) == ["lea@firma.example"]


async def test_a_registering_person_stays_as_long_as_the_data_it_is_the_source_of(
    parts: Parts, clock: HandClock
) -> None:
    await registered(parts, "r-1", by="ana@partner.example")
    await fact(parts, "opted_in")
    clock.pass_time(days=400)
    assert (await swept(parts))["contacts"] == 0
    async with parts.database.transaction() as connection:
        await connection.execute("DELETE FROM contacts WHERE email = 'lea@firma.example'")
    clock.at += LOOK_AGAIN + timedelta(seconds=1)
    assert (await swept(parts))["contacts"] == 1
    assert await contacts(parts) == []


async def test_a_registering_person_who_still_registers_stays(parts: Parts, clock: HandClock) -> None:
    await registered(parts, "r-1", by="ana@partner.example")
    clock.pass_time(days=300)
    await registered(parts, "r-2", email="tom@other.example", by="ana@partner.example")
    clock.pass_time(days=100)
    assert (await swept(parts))["contacts"] == 1
    assert await contacts(parts) == ["ana@partner.example", "tom@other.example"]


async def test_contacts_that_stay_are_looked_at_once_and_not_every_day(parts: Parts, clock: HandClock) -> None:
    for number in range(5):
        await registered(parts, f"r-{number}", email=f"lea{number}@firma.example")
    clock.pass_time(days=300)
    for number in range(5):
        await registered(parts, f"s-{number}", email=f"lea{number}@firma.example")
    clock.pass_time(days=100)
    await swept(parts, batch=2)
    async with parts.database.transaction() as connection:
        cutoff = RULE["contacts"].cutoff(clock.now())
        assert await retention.contacts_to_look_at(connection, cutoff, 10) == []


async def test_whoever_registers_at_this_moment_is_passed_over(parts: Parts, clock: HandClock) -> None:
    await registered(parts, "r-1", by="ana@partner.example")
    async with parts.database.transaction() as connection:
        await connection.execute("DELETE FROM contacts WHERE email = 'lea@firma.example'")
    clock.pass_time(days=400)
    async with parts.database.transaction() as connection:
        await introduces(connection, clock)
        assert (await swept(parts))["contacts"] == 0
    assert await contacts(parts) == ["ana@partner.example"]
    assert (await swept(parts))["contacts"] == 1


async def introduces(connection: Connection, clock: HandClock) -> None:
    """Another registration of the same person is being made, and not yet committed."""
    ana = await connection.fetchrow("SELECT subject, email FROM contacts")
    assert ana is not None
    contact = Contact(Subject(ana["subject"]), ana["email"], None, None, None)
    await taking.write(connection, New([], [], {}, [contact], {contact.subject}), clock.now())


async def fact(parts: Parts, name: str) -> None:
    async with parts.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO facts (subject, fact, occurred_at, recorded_at)"
            " SELECT subject, $1, $2, $2 FROM contacts WHERE email = 'lea@firma.example'",
            name,
            parts.clock.now(),
        )


async def test_who_swept_is_on_record(parts: Parts) -> None:
    await there_is(parts, "events", BEGINNING - OLD)
    async for _ in parts.retention.sweep(Actor("command line")):
        pass
    async with parts.database.transaction() as connection:
        assert await connection.fetchval("SELECT detail ->> 'actor' FROM ledger") == "command line"


# However much there is.

MANY = 10_000


@pytest.fixture
async def crowded(parts: Parts) -> Parts:
    """Tables with many rows of which few are old; chains and keys are for their own tests."""
    async with parts.database.transaction() as connection:
        await connection.execute("SET LOCAL session_replication_role = replica")
        for statement in OF_AGE.values():
            await connection.execute(statement, BEGINNING, MANY // 2)
            await connection.execute(statement, BEGINNING - OLD, 50)
        await connection.execute(
            """
            INSERT INTO contacts (subject, email, recorded_at)
            SELECT 's-' || n, n || '@firma.example',
                   CASE WHEN n % 100 = 0 THEN $3::timestamptz ELSE $1::timestamptz END
            FROM generate_series(1, $2) AS n
            """,
            BEGINNING,
            MANY,
            BEGINNING - OLD,
        )
        await connection.execute(
            "UPDATE registrations SET subject = 's-' || ctid::text, registered_by = 's-x' || ctid::text"
        )
        await connection.execute(
            "INSERT INTO facts (subject, fact, occurred_at, recorded_at)"
            " SELECT subject, 'opted_in', registered_at, registered_at FROM registrations"
        )
    async with parts.database.transaction() as connection:
        await connection.execute("ANALYZE")
    return parts


async def test_no_batch_reads_a_whole_table(crowded: Parts) -> None:
    async with crowded.database.transaction() as connection:
        for name, sweep in SWEEPS.items():
            nodes = await plan_of(connection, sweep.batch, RULE[name].cutoff(BEGINNING), 1000)
            scanned = {node["Node Type"] for node in nodes if "Scan" in node["Node Type"]}
            assert "Seq Scan" not in scanned, (name, scanned)
            assert max(node["Plan Rows"] for node in nodes) < MANY / 4, name


async def test_looking_at_contacts_reads_no_whole_table(crowded: Parts) -> None:
    statements: list[tuple[str, tuple[object, ...]]] = []

    class Spy:
        """Hands on what is asked, and remembers it."""

        def __init__(self, connection: Connection) -> None:
            self._connection = connection

        async def fetch(self, query: str, *arguments: object) -> list[asyncpg.Record]:
            statements.append((query, arguments))
            return await self._connection.fetch(query, *arguments)

    cutoff = RULE["contacts"].cutoff(BEGINNING)
    async with crowded.database.transaction() as connection:
        spy: Any = Spy(connection)
        held = await retention.contacts_to_look_at(spy, cutoff, 200)
        await retention.needed_at(spy, held, cutoff + LOOK_AGAIN)
        for statement, arguments in statements:
            nodes = await plan_of(connection, statement, *arguments)
            assert "Seq Scan" not in {node["Node Type"] for node in nodes}, statement
    assert len(held) == MANY / 100


async def plan_of(connection: Connection, statement: str, *arguments: object) -> list[dict[str, Any]]:
    plan = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement}", *arguments))
    return flat(plan[0]["Plan"])


def flat(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", []) for node in flat(child))]
