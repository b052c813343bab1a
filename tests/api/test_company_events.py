"""What companies do on the vendor's site: counted for the partner who owns them, by the hour, and never a person."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from consentflow.storage.pool import Connection, Database
from tests.api.conftest import Given, Json

if TYPE_CHECKING:
    from tests.api.conftest import Api
    from tests.conftest import HandClock

ACCEPTED = {"accepted": 1, "duplicate": 0, "unmatched": 0}
UNMATCHED = {"accepted": 0, "duplicate": 0, "unmatched": 1}


def viewed(api: "Api", **data: Given) -> Json:
    return api.event("company.pricing_viewed", None, data={"domain": "firma.example"} | data)


async def counted(api: "Api") -> list[tuple[str, str, str, str, int]]:
    rows = await api.rows("company_actions ORDER BY partner_id, domain, action, hour")
    return [
        (row["partner_id"], row["domain"], row["action"], f"{row['hour']:%d %H:%M:%S.%f}", row["count"]) for row in rows
    ]


async def subscribe(api: "Api", email: str = "ana@partner.example", partner_id: str = "p-77") -> None:
    """An active subscriber who is told everything at once."""
    choice = {"actions": "all", "delivery": "immediate"}
    path = f"/v1/partners/{partner_id}/subscribers/{email}"
    assert (await api.call("PUT", path, json=choice)).status_code == 200
    async with api.parts.database.transaction() as connection:
        await connection.execute(
            "UPDATE subscribers SET state = 'active', since = $1 WHERE state = 'pending'", api.parts.clock.now()
        )


# Whose business it is.


@pytest.mark.parametrize(
    "data",
    [
        {"domain": "firma.example"},
        {"domain": "https://www.Firma.example/prices?visitor=7"},
        {"domain": "shop.firma.example."},
        {"email": "anybody@firma.example"},
        {"email": "anybody@mail.firma.example", "domain": None},
        {"email": "anybody@firma.example", "domain": " "},
        {"email": "anybody@gmail.com", "domain": "firma.example"},
    ],
)
async def test_the_company_is_found_by_the_domain_or_else_by_the_address(api: "Api", data: Json) -> None:
    await api.register()
    event = api.event("company.pricing_viewed", None, data=data)
    assert (await api.tell(event)).json() == ACCEPTED
    assert await counted(api) == [("p-77", "firma.example", "pricing_viewed", "22 09:00:00.000000", 1)]
    assert "anybody" not in await api.everything_stored()


@pytest.mark.parametrize(
    "data",
    [
        {"domain": "unowned.example"},
        {"domain": "gmail.com", "email": "lea@firma.example"},
        {"domain": "not a domain", "email": "lea@firma.example"},
        {"email": "lea@gmail.com"},
        {"domain": "192.0.2.1"},
        {"domain": "example"},
        {},
    ],
)
async def test_what_is_nobodys_business_is_dropped_without_a_trace(api: "Api", data: Json) -> None:
    await api.register()
    stored = await api.everything_stored()
    for _ in range(2):  # it is not even remembered as seen
        event = api.event("company.pricing_viewed", None, data=data)
        assert (await api.tell(event)).json() == UNMATCHED
    assert await api.everything_stored() == stored


async def test_it_counts_from_the_first_instant_of_the_ownership_to_the_last(api: "Api", clock: "HandClock") -> None:
    await api.register(country="US")
    until = datetime(2027, 5, 22, 9, 0, tzinfo=UTC)
    clock.at = until - timedelta(seconds=1)
    assert (await api.tell(viewed(api, occurred_at="2026-11-22T08:59:59Z"))).json() == UNMATCHED
    assert (await api.tell(viewed(api, occurred_at="2026-11-22T09:00:00Z"))).json() == ACCEPTED
    assert (await api.tell(viewed(api))).json() == ACCEPTED
    clock.at = until
    assert (await api.tell(viewed(api))).json() == UNMATCHED
    assert (await api.tell(viewed(api, occurred_at="2027-05-01T09:00:00Z"))).json() == UNMATCHED


async def test_a_renewed_ownership_covers_what_happened_before_the_renewal(api: "Api", clock: "HandClock") -> None:
    await api.register("r-1", country="US")
    clock.at = datetime(2027, 5, 1, 9, 0, tzinfo=UTC)
    await api.register("r-2", country="US", email="max@firma.example")
    assert (await api.tell(viewed(api, occurred_at="2027-04-01T09:30:00Z"))).json() == ACCEPTED


async def test_what_happened_under_the_former_owner_is_told_to_neither(api: "Api", clock: "HandClock") -> None:
    await api.register("r-1", country="US")
    clock.at = datetime(2027, 6, 1, 9, 0, tzinfo=UTC)
    await api.register("r-2", partner_id="p-2", country="US")
    assert (await api.tell(viewed(api, occurred_at="2027-05-01T09:00:00Z"))).json() == UNMATCHED
    assert await counted(api) == []


async def test_each_partner_gets_what_its_own_companies_do(api: "Api") -> None:
    await api.register("r-1")
    await api.register("r-2", partner_id="p-2", email="kim@other.example", company=None)
    answer = await api.tell(viewed(api), viewed(api, domain="other.example"), viewed(api, domain="third.example"))
    assert answer.json() == {"accepted": 2, "duplicate": 0, "unmatched": 1}
    assert [row[:2] for row in await counted(api)] == [("p-2", "other.example"), ("p-77", "firma.example")]


async def test_a_withdrawn_registration_ends_it(api: "Api") -> None:
    await api.register(country="US")
    await api.withdraw()
    assert (await api.tell(viewed(api))).json() == UNMATCHED


# Hours, and nothing finer.


async def test_actions_are_counted_by_the_hour_in_which_they_happened(api: "Api", clock: "HandClock") -> None:
    await api.register()
    clock.at = datetime(2026, 11, 22, 12, 34, 56, tzinfo=UTC)
    times = ["2026-11-22T10:00:00Z", "2026-11-22T10:59:59.999Z", "2026-11-22T13:00:00+02:00", "2026-11-22T12:34:00Z"]
    await api.tell(*(viewed(api, occurred_at=time) for time in times), api.event("company.demo_requested", None))
    await api.tell(api.event("company.demo_requested", None, data={"domain": "firma.example"}))
    assert [row[2:] for row in await counted(api)] == [
        ("demo_requested", "22 12:00:00.000000", 1),
        ("pricing_viewed", "22 10:00:00.000000", 2),
        ("pricing_viewed", "22 11:00:00.000000", 1),
        ("pricing_viewed", "22 12:00:00.000000", 1),
    ]


async def test_the_envelopes_time_counts_where_the_data_has_none(api: "Api", clock: "HandClock") -> None:
    await api.register()
    clock.pass_time(hours=5)
    await api.tell(viewed(api) | {"time": "2026-11-22T10:15:00Z"})
    assert [row[3] for row in await counted(api)] == ["22 10:00:00.000000"]


async def test_a_clock_that_runs_ahead_puts_nothing_into_an_hour_to_come(api: "Api", clock: "HandClock") -> None:
    await api.register()
    clock.at = datetime(2026, 11, 22, 9, 58, tzinfo=UTC)
    assert (await api.tell(viewed(api, occurred_at="2026-11-22T10:02:00Z"))).json() == ACCEPTED
    assert [row[3] for row in await counted(api)] == ["22 09:00:00.000000"]


MARKS = {
    "email": "zqzq-person@firma.example",
    "name": "Zqzqgiven Zqzqfamily",
    "visitor_id": "zqzq-visitor",
    "page": "https://vendor.example/pricing?utm_source=zqzq-campaign",
    "ip": "203.0.113.77",
    "language": "zqzq-language",
    "occurred_at": "2026-11-22T09:17:43.217Z",
}


@pytest.mark.parametrize(
    "kind",
    [
        "company.trial_requested",
        "company.demo_requested",
        "company.pricing_viewed",
        "company.content_viewed",
        "company.content_downloaded",
        "company.purchased",
        "contact.content_downloaded",
    ],
)
async def test_nothing_of_a_person_is_stored_beside_what_the_company_did(
    api: "Api", clock: "HandClock", kind: str
) -> None:
    await api.register(registered_by=None)
    await subscribe(api)
    clock.at = datetime(2026, 11, 22, 9, 23, 51, 654321, tzinfo=UTC)
    money = {"amount": "99.90", "currency": "EUR"}
    before = await api.counts()
    assert (await api.tell(api.event(kind, None, data=MARKS | money))).json() == ACCEPTED
    after = await api.counts()
    assert after["company_actions"] == before["company_actions"] + 1
    assert after["contacts"] == before["contacts"]

    everything = (await api.everything_stored()).lower()
    assert "zqzq" not in everything
    assert "203.0.113" not in everything
    # The second at which it happened is on record of the person alone, as evidence, under a pseudonym.
    async with api.parts.database.transaction() as connection:
        names = [
            row["tablename"] for row in await connection.fetch("SELECT * FROM pg_tables WHERE schemaname='public'")
        ]
        told = {
            name for name in names if ":17:43" in str(await connection.fetchval(f"SELECT json_agg(t) FROM {name} t"))
        }
        heard = {
            name for name in names if ":23:51" in str(await connection.fetchval(f"SELECT json_agg(t) FROM {name} t"))
        }
    assert told <= {"facts", "ledger"}
    assert heard <= {"facts", "ledger", "digests"}
    entries = await api.rows("ledger WHERE subject IS NULL AND detail::text LIKE '%:17:43%'")
    assert entries == []


# Once and only once.


async def test_a_repeated_action_is_counted_once(api: "Api") -> None:
    await api.register()
    event = viewed(api)
    assert (await api.tell(event, event)).json() == {"accepted": 1, "duplicate": 1, "unmatched": 0}
    stored = await api.everything_stored()
    assert (await api.tell(event)).json() == {"accepted": 0, "duplicate": 1, "unmatched": 0}
    assert await api.everything_stored() == stored


async def test_a_repeat_counts_as_one_even_when_the_company_is_nobodys_any_more(api: "Api", clock: "HandClock") -> None:
    await api.register(country="US")
    event = viewed(api)
    await api.tell(event)
    clock.pass_time(days=300)
    assert (await api.tell(event, viewed(api))).json() == {"accepted": 0, "duplicate": 1, "unmatched": 1}


async def test_an_event_that_is_both_is_counted_once_and_has_both_effects(api: "Api") -> None:
    await api.register(country="FR")
    event = api.event("contact.content_downloaded", "max@firma.example")
    assert (await api.tell(event, event)).json() == {"accepted": 1, "duplicate": 1, "unmatched": 0}
    assert [row[2:] for row in await counted(api)] == [("content_downloaded", "22 09:00:00.000000", 1)]
    assert [row["fact"] for row in await api.rows("facts")] == ["content_downloaded"]


async def test_an_event_takes_the_effect_that_is_left_when_the_company_is_nobodys(api: "Api") -> None:
    assert (await api.tell(api.event("company.demo_requested", "lea@unowned.example"))).json() == ACCEPTED
    assert (await api.rows("company_actions"), len(await api.rows("facts"))) == ([], 1)


async def test_a_company_action_never_decides_for_the_address_of_another(api: "Api") -> None:
    """Where domain and address differ, the action is the domain's and the fact the address's."""
    await api.register(country="FR")
    data = {"domain": "firma.example", "email": "kim@other.example"}
    await api.tell(api.event("company.trial_requested", None, data=data))
    assert [row[1] for row in await counted(api)] == ["firma.example"]
    assert (await api.show())["state"] == "waiting"


async def test_identical_events_at_the_same_time_count_once(api: "Api") -> None:
    await api.register()
    event = viewed(api)
    answers = await asyncio.gather(*(api.tell(event) for _ in range(8)))
    assert Counter(answer.json()["accepted"] for answer in answers) == {1: 1, 0: 7}
    assert [row[4] for row in await counted(api)] == [1]


async def test_batches_that_share_people_and_companies_in_any_order_do_not_block_each_other(api: "Api") -> None:
    for number in range(6):
        domain = f"firma{number}.example"
        await api.register(f"r-{number}", email=f"lea@{domain}", company=None, partner_id=f"p-{number % 3}")
    for partner in ("p-0", "p-1", "p-2"):
        for person in ("ana", "bob"):
            await subscribe(api, f"{person}@{partner}.example", partner)
    addresses = [f"lea{n}@firma{n}.example" for n in range(6)]
    batches = [
        [api.event("company.trial_requested", email) for email in order] for order in (addresses, addresses[::-1]) * 4
    ]
    answers = await asyncio.gather(*(api.tell(*batch) for batch in batches))
    assert [answer.json() for answer in answers] == [{"accepted": 6, "duplicate": 0, "unmatched": 0}] * 8
    assert [row[4] for row in await counted(api)] == [8] * 6
    assert (await api.counts())["digests"] == 6


# What subscribers hear of it.


async def test_the_first_action_opens_a_digest_and_those_that_follow_wait_for_it(api: "Api") -> None:
    await api.register()
    await subscribe(api)
    await api.tell(viewed(api))
    await api.tell(viewed(api), api.event("company.demo_requested", None, data={"domain": "firma.example"}))
    assert [row["due_at"] for row in await api.rows("digests")] == [datetime(2026, 11, 22, 9, 15, tzinfo=UTC)]
    assert [row["topic"] for row in await api.rows("outbox") if row["topic"] == "digest.start"] == ["digest.start"]


async def test_what_is_too_old_to_be_news_is_counted_and_opens_nothing(api: "Api", clock: "HandClock") -> None:
    await api.register()
    await subscribe(api)
    clock.pass_time(days=15)
    assert (await api.tell(viewed(api, occurred_at="2026-11-22T10:00:00Z"))).json() == ACCEPTED
    assert (len(await counted(api)), (await api.counts())["digests"]) == (1, 0)


async def test_a_flood_of_one_companys_events_is_one_row_and_one_digest(api: "Api") -> None:
    await api.register()
    await subscribe(api)
    for _ in range(10):
        answer = await api.tell(*(viewed(api) for _ in range(1000)))
        assert answer.json() == {"accepted": 1000, "duplicate": 0, "unmatched": 0}
    assert await counted(api) == [("p-77", "firma.example", "pricing_viewed", "22 09:00:00.000000", 10_000)]
    counts = await api.counts()
    assert (counts["digests"], counts["events"]) == (1, 10_000)


async def test_a_flood_is_handled_by_as_many_statements_as_two_events(
    api: "Api", monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.register()
    await subscribe(api)
    await api.tell(viewed(api))  # opens the digest
    transaction = Database.transaction
    seen: list[object] = []

    @asynccontextmanager
    async def watched(database: Database) -> AsyncIterator[Connection]:
        async with transaction(database) as connection:
            with connection.query_logger(seen.append):
                yield connection

    monkeypatch.setattr(Database, "transaction", watched)
    await api.tell(viewed(api), viewed(api))
    few = len(seen)
    await api.tell(*(viewed(api) for _ in range(1000)))
    assert len(seen) == 2 * few


async def test_a_thousand_strangers_who_download_something_are_taken_up_at_once(api: "Api") -> None:
    events = [api.event("contact.content_downloaded", f"person{n}@firma{n}.example") for n in range(1000)]
    assert (await api.tell(*events)).json() == {"accepted": 1000, "duplicate": 0, "unmatched": 0}
    counts = await api.counts()
    assert (counts["facts"], counts["company_actions"]) == (1000, 0)
    assert (await api.parts.ledger.verify()).flaws == ()


# What cannot be read.


@pytest.mark.parametrize(
    ("data", "member"),
    [
        ({"domain": 7}, "/data/domain"),
        ({"domain": "x" * 301}, "/data/domain"),
        ({"domain": "firma.example", "email": "no address"}, "/data/email"),
        ({"domain": "firma.example", "occurred_at": "2026-11-22T09:05:01Z"}, "/data/occurred_at"),
    ],
)
async def test_a_malformed_company_action_names_its_member_and_nothing_of_the_batch_is_kept(
    api: "Api", data: Json, member: str
) -> None:
    await api.register()
    stored = await api.everything_stored()
    bad = api.event("company.pricing_viewed", None, data=data)
    assert set(api.pointers(await api.tell(bad), 400, "malformed_event")) == {member}
    assert set(api.pointers(await api.tell(viewed(api), bad), 400, "malformed_event")) == {f"/1{member}"}
    assert await api.everything_stored() == stored


async def test_a_batch_as_large_as_the_service_takes_is_taken(api: "Api") -> None:
    await api.register()
    filler = "x" * 780
    events = [viewed(api, note=filler) for _ in range(1000)]
    size = len(json.dumps(events).encode())
    assert 900_000 < size < 1_000_000
    assert (await api.tell(*events)).json()["accepted"] == 1000
