"""What officers search and list walks an index, whatever the tables hold: 200 000 registrations and their like."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from consentflow.domain.addresses import Subject
from consentflow.domain.paging import Mark
from consentflow.domain.worklist import ANSWERABLE
from consentflow.runtime import Parts
from consentflow.storage import facts, mail_records, search, source_requests, worklist
from consentflow.storage.pool import Connection
from consentflow.storage.source_requests import Wanted
from tests.conftest import HandClock, make_settings

MANY = 200_000
SOMEBODY = Subject("s-" + "0" * 31 + "7")
REGISTRANT = Subject("s-" + "f" * 32)
"""Has registered every fourth of them."""
MIDDLE = Mark(datetime(2026, 3, 1, tzinfo=UTC), "r-100000")
LATER_MAIL = Mark(datetime(2026, 1, 15, tzinfo=UTC), "00000000-0000-4000-8000-000000000000")
LATER_REQUEST = Mark(datetime(2026, 1, 10, tzinfo=UTC), "sr-12000")
LATER_FACT = Mark(datetime(2026, 1, 15, tzinfo=UTC), "20000")
BIG = {"registrations", "mails", "facts", "source_requests"}

FILL = f"""
    INSERT INTO registrations (registration_id, kind, partner_id, registered_by, subject, company_domain, country,
                               regime, reason, state, registered_at, accepted_at, policy_version, revision, fingerprint)
    SELECT 'r-' || n, 'lead', 'p-' || n % 500,
           CASE WHEN n % 4 = 0 THEN '{REGISTRANT}' ELSE 's-' || lpad(to_hex(n % 900 + 1000000), 32, '0') END,
           's-' || lpad(to_hex(n % 150000), 32, '0'),
           CASE WHEN n % 5 = 0 THEN 'big.example' ELSE 'company-' || n % 30000 || '.example' END, 'FR',
           'delayed_notice', 'delayed_notice_region', 'waiting', timestamptz '2026-01-01' + n * interval '1 minute',
           timestamptz '2026-01-01' + n * interval '1 minute', 'test', 1, ''
    FROM generate_series(1, {MANY}) AS n;
    INSERT INTO mails (mail_id, purpose, subject, registration_id, state, message_id, envelope_from, content_sha256,
                       language, text_version, frozen_at)
    SELECT gen_random_uuid(), 'notice', CASE WHEN n % 4 = 0 THEN '{SOMEBODY}' ELSE 's-' || lpad(to_hex(n), 32, '0') END,
           'r-' || n, 'accepted', '<' || n || '@x.example>', 'x@x.example', '', 'de', 'test',
           timestamptz '2026-01-01' + n * interval '1 minute'
    FROM generate_series(1, {MANY // 5}) AS n;
    INSERT INTO facts (subject, fact, occurred_at, recorded_at)
    SELECT 's-' || lpad(to_hex(n), 32, '0'), CASE WHEN n % 20 = 0 THEN 'objected' ELSE 'form_submitted' END,
           timestamptz '2026-01-01' + n * interval '1 minute', timestamptz '2026-01-01' + n * interval '1 minute'
    FROM generate_series(1, {MANY // 5}) AS n;
    INSERT INTO source_requests (request_id, subject, language, channel, state, received_at, opened_at, target,
                                 deadline, closed_at, version)
    SELECT 'sr-' || n, 's-' || lpad(to_hex(n % 20000), 32, '0'), 'de', 'form',
           CASE WHEN n % 100 = 0 THEN 'in_review' ELSE 'disclosed' END, at, at, at + interval '1 month',
           at + interval '1 month', CASE WHEN n % 100 = 0 THEN NULL ELSE at END, 1
    FROM generate_series(1, {MANY // 10}) AS n,
         LATERAL (SELECT timestamptz '2026-01-01' + n * interval '1 minute') AS received (at);
    ANALYZE;
"""


@pytest.fixture(scope="module")
async def filled(postgres_url: str) -> AsyncIterator[Parts]:
    """A database with plenty in it; nothing in these tests changes it."""
    connection = await asyncpg.connect(postgres_url.format(database="postgres"))
    await connection.execute("CREATE DATABASE console_plans TEMPLATE template_migrated")
    url = postgres_url.format(database="console_plans")
    filling = await asyncpg.connect(url)
    await filling.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    await filling.execute(FILL)
    await filling.close()
    parts = Parts(make_settings(url), HandClock())
    async with parts.database:
        yield parts
    await connection.execute("DROP DATABASE console_plans WITH (FORCE)")
    await connection.close()


class Explaining:
    """A connection that has every query explained, planned for its values and planned for any, before it runs it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.scanned: set[str] = set()
        """Big tables that were read from end to end."""
        self.most_rows = 0
        """That any step of any plan has looked at."""

    async def fetch(self, query: str, *values: object) -> Any:  # noqa: ANN401 - as asyncpg's
        await self._explain(query, values)
        return await self._connection.fetch(query, *values)

    async def fetchval(self, query: str, *values: object) -> Any:  # noqa: ANN401 - as asyncpg's
        await self._explain(query, values)
        return await self._connection.fetchval(query, *values)

    async def _explain(self, query: str, values: Sequence[object]) -> None:
        await self._connection.execute(f"PREPARE explained AS {query}")
        given = f"({', '.join(map(literal, values))})" if values else ""
        for mode in ("force_custom_plan", "force_generic_plan"):
            await self._connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
            plan = await self._connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE explained{given}")
            self._walk(json.loads(plan)[0]["Plan"])
        await self._connection.execute("DEALLOCATE explained; SET LOCAL plan_cache_mode = auto")

    def _walk(self, step: dict[str, Any]) -> None:
        if step["Node Type"] == "Seq Scan":
            self.scanned |= {step["Relation Name"]} & BIG
        looked_at = step["Actual Rows"] + step.get("Rows Removed by Filter", 0)
        self.most_rows = max(self.most_rows, round(looked_at * step["Actual Loops"]))
        for each in step.get("Plans", []):
            self._walk(each)


def literal(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return f"ARRAY[{', '.join(map(literal, value))}]::text[]"
    return "NULL" if value is None else str(value) if isinstance(value, int) else f"'{value}'"


QUERIES: dict[str, Callable[[Any], Awaitable[object]]] = {
    "a person's registrations": lambda c: search.registrations(c, "subject", SOMEBODY, None, 51),
    "a registrant's, the first page": lambda c: search.registrations(c, "registered_by", REGISTRANT, None, 51),
    "a registrant's, a later page": lambda c: search.registrations(c, "registered_by", REGISTRANT, MIDDLE, 51),
    "a company's, the first page": lambda c: search.registrations(c, "company_domain", "big.example", None, 51),
    "a company's, a later page": lambda c: search.registrations(c, "company_domain", "big.example", MIDDLE, 51),
    "a company nobody knows": lambda c: search.registrations(c, "company_domain", "none.example", None, 51),
    "a registration by id": lambda c: search.registration_exists(c, "r-77"),
    "a request by id": lambda c: search.request_exists(c, "sr-77"),
    "a person's mails, the first page": lambda c: mail_records.of_subject(c, SOMEBODY, None, 51),
    "a person's mails, a later page": lambda c: mail_records.of_subject(c, SOMEBODY, LATER_MAIL, 51),
    "a registration's mails": lambda c: mail_records.of_registration(c, "r-77"),
    "a person's facts": lambda c: facts.history(c, SOMEBODY),
    "a person's requests": lambda c: search.requests(c, SOMEBODY),
    "suppressions, the first page": lambda c: search.suppressions(c, None, 51),
    "suppressions, a later page": lambda c: search.suppressions(c, LATER_FACT, 51),
    "requests that came to an end, a later page": lambda c: source_requests.find_closed(c, LATER_REQUEST, 51),
    "requests that wait for officers": lambda c: source_requests.find_page(c, Wanted(ANSWERABLE), None, 200),
    "open requests, counted": worklist.count_open,
}


@pytest.mark.parametrize("name", QUERIES)
async def test_a_page_looks_at_no_more_rows_than_it_shows(filled: Parts, name: str) -> None:
    async with filled.database.transaction() as connection:
        explaining = Explaining(connection)
        await QUERIES[name](explaining)
    assert explaining.scanned == set()
    assert explaining.most_rows <= 4 * 51


async def test_a_query_without_an_index_would_be_caught(filled: Parts) -> None:
    async with filled.database.transaction() as connection:
        explaining = Explaining(connection)
        await explaining.fetch("SELECT registration_id FROM registrations WHERE country = $1 LIMIT 3", "IS")
    assert explaining.scanned == {"registrations"}
    assert explaining.most_rows >= MANY


async def test_pages_follow_each_other_without_a_gap(filled: Parts) -> None:
    found: list[str] = []
    after = None
    for _ in range(4):
        page = await filled.search.of_company("big.example", after)
        found += [each.registration_id for each in page.entries]
        after = page.after
    assert found == [f"r-{MANY - 5 * n}" for n in range(200)]
