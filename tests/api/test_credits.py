"""Purchases by owned companies credit their partner, whoever closed them, each exactly once."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from consentflow.domain.intake import RegistrationIn
from tests.api.conftest import Given, Json

if TYPE_CHECKING:
    from tests.api.conftest import Api
    from tests.conftest import HandClock

ACCEPTED = {"accepted": 1, "duplicate": 0, "unmatched": 0}


def purchased(api: "Api", amount: Given = "1234.50", currency: Given = "EUR", **data: Given) -> Json:
    bought = {"domain": "firma.example", "amount": amount, "currency": currency} | data
    return api.event(
        "company.purchased", None, data={name: value for name, value in bought.items() if value is not None}
    )


async def credited(api: "Api", partner_id: str = "p-77") -> list[tuple[str, str, str, str]]:
    found = (await api.call("GET", f"/v1/partners/{partner_id}/credits")).json()["credits"]
    return [(each["domain"], each["amount"], each["currency"], each["purchased_on"]) for each in found]


async def test_a_purchase_credits_the_owner_and_is_told_like_any_action(api: "Api") -> None:
    await api.register()
    assert (await api.tell(purchased(api))).json() == ACCEPTED
    assert await credited(api) == [("firma.example", "1234.50", "EUR", "2026-11-22")]
    assert [(row["action"], row["count"]) for row in await api.rows("company_actions")] == [("purchased", 1)]
    (entry,) = await api.rows("ledger WHERE event = 'credited'")
    assert entry["subject"] is None
    assert (entry["detail"]["partner_id"], entry["detail"]["amount"]) == ("p-77", "1234.50")


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        ("0.01", "0.01"),
        ("10", "10.00"),
        ("10.1", "10.10"),
        (10, "10.00"),
        (10.1, "10.10"),
        (0.1, "0.10"),
        (0.07, "0.07"),
        (1e3, "1000.00"),
        (1234567890.12, "1234567890.12"),
        ("9999999999999999.99", "9999999999999999.99"),
    ],
)
async def test_an_amount_is_exact_whether_text_or_number(api: "Api", amount: object, shown: str) -> None:
    await api.register()
    await api.tell(purchased(api, amount))
    assert [each[1] for each in await credited(api)] == [shown]


async def test_many_small_amounts_add_up_without_an_error_of_floats(api: "Api") -> None:
    await api.register()
    await api.tell(*(purchased(api, 0.1) for _ in range(30)))
    async with api.parts.database.transaction() as connection:
        assert str(await connection.fetchval("SELECT sum(amount) FROM credits")) == "3.00"


@pytest.mark.parametrize(
    ("amount", "currency", "member"),
    [
        ("0", "EUR", "amount"),
        ("-1", "EUR", "amount"),
        ("1.234", "EUR", "amount"),
        ("1,50", "EUR", "amount"),
        ("1e3", "EUR", "amount"),
        ("", "EUR", "amount"),
        (" 1", "EUR", "amount"),
        ("１２", "EUR", "amount"),  # noqa: RUF001 - digits, but not those of a number in JSON
        ("99999999999999999", "EUR", "amount"),
        (0, "EUR", "amount"),
        (-0.5, "EUR", "amount"),
        (0.001, "EUR", "amount"),
        (12345678901234.56, "EUR", "amount"),
        (10**400, "EUR", "amount"),
        (True, "EUR", "amount"),
        ([1], "EUR", "amount"),
        ({"value": 1}, "EUR", "amount"),
        ("5", "eur", "currency"),
        ("5", "EURO", "currency"),
        ("5", "ZZZ", "currency"),
        ("5", 978, "currency"),
        ("5", ["EUR"], "currency"),
        ("5", None, "currency"),
        (None, "euro", "currency"),
    ],
)
async def test_a_malformed_purchase_is_refused_with_its_member_and_nothing_is_kept(
    api: "Api", amount: object, currency: object, member: str
) -> None:
    await api.register()
    stored = await api.everything_stored()
    bad = purchased(api, amount, currency)
    assert set(api.pointers(await api.tell(bad), 400, "malformed_event")) == {f"/data/{member}"}
    assert set(api.pointers(await api.tell(purchased(api), bad), 400, "malformed_event")) == {f"/1/data/{member}"}
    assert await api.everything_stored() == stored


@pytest.mark.parametrize("body", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
async def test_numbers_that_are_none_are_refused(api: "Api", body: bytes) -> None:
    await api.register()
    event = (
        b'{"specversion":"1.0","id":"1","source":"s","type":"company.purchased",'
        b'"data":{"domain":"firma.example","currency":"EUR","amount":' + body + b"}}"
    )
    headers = {"Content-Type": "application/cloudevents+json"}
    response = await api.call("POST", "/v1/events", content=event, headers=headers)
    assert response.status_code == 400
    assert await credited(api) == []


async def test_a_purchase_without_an_amount_is_only_told(api: "Api") -> None:
    await api.register()
    await api.tell(purchased(api, None, None))
    await api.tell(purchased(api, None, "EUR"))
    assert await credited(api) == []
    assert [row["count"] for row in await api.rows("company_actions")] == [2]


async def test_what_other_events_call_an_amount_is_the_senders_own_business(api: "Api") -> None:
    await api.register()
    data = {"domain": "firma.example", "amount": "lots", "currency": 7}
    assert (await api.tell(api.event("company.pricing_viewed", None, data=data))).json() == ACCEPTED
    assert await credited(api) == []


@pytest.mark.parametrize(
    ("data", "earns"),
    [
        ({"domain": "shop.firma.example"}, True),
        ({"domain": None, "email": "anybody@firma.example"}, True),
        ({"domain": "firma-group.example", "email": "lea@firma.example"}, False),
        ({"domain": "gmail.com", "email": "lea@firma.example"}, False),
        ({"domain": None, "email": "lea@gmail.com"}, False),
    ],
)
async def test_the_credit_goes_by_the_owned_domain_alone(api: "Api", data: Json, earns: bool) -> None:
    await api.register()
    assert (await api.tell(purchased(api, **data))).json()["accepted"] == int(earns)
    assert len(await credited(api)) == int(earns)
    assert "anybody" not in await api.everything_stored()


async def test_a_purchase_credits_whoever_owned_the_company_then_and_owns_it_now(
    api: "Api", clock: "HandClock"
) -> None:
    await api.register("r-1", country="US")
    clock.at = datetime(2027, 6, 1, 9, 0, tzinfo=UTC)
    await api.register("r-2", partner_id="p-2", country="US")
    late = await api.tell(purchased(api, occurred_at="2027-05-01T09:00:00Z"), purchased(api, "7"))
    assert late.json() == {"accepted": 1, "duplicate": 0, "unmatched": 1}
    assert (await credited(api), await credited(api, "p-2")) == ([], [("firma.example", "7.00", "EUR", "2027-06-01")])


async def test_a_company_that_became_a_customer_earns_its_owner_the_credit_all_the_same(api: "Api") -> None:
    await api.register()
    await api.set_account("firma.example", "customer")
    await api.tell(purchased(api))
    assert len(await credited(api)) == 1


async def test_a_repeated_purchase_credits_once_even_after_its_event_was_forgotten(api: "Api") -> None:
    await api.register()
    event = purchased(api)
    await api.tell(event, event)
    async with api.parts.database.transaction() as connection:
        await connection.execute("DELETE FROM events")
    assert (await api.tell(event)).json() == {"accepted": 0, "duplicate": 1, "unmatched": 0}
    assert len(await credited(api)) == 1
    assert [row["count"] for row in await api.rows("company_actions")] == [1]


async def test_credits_are_listed_latest_first_page_by_page(api: "Api", clock: "HandClock") -> None:
    await api.register()
    for amount in range(1, 8):
        await api.tell(purchased(api, amount))
        clock.pass_time(days=1)
    seen, after = [], ""
    for _ in range(3):
        page = (await api.call("GET", f"/v1/partners/p-77/credits?most=3{after}")).json()
        seen.append([each["amount"] for each in page["credits"]])
        after = f"&after={page['after']}"
    assert seen == [["7.00", "6.00", "5.00"], ["4.00", "3.00", "2.00"], ["1.00"]]
    assert page["after"] is None


async def test_credits_come_as_a_table_that_no_program_takes_for_formulas(api: "Api", clock: "HandClock") -> None:
    await api.register()
    await api.tell(purchased(api, "10"), purchased(api, "0.5", "CHF"))
    clock.pass_time(days=1)
    await api.tell(purchased(api, "99.99"))
    response = await api.call("GET", "/v1/partners/p-77/credits.csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="credits.csv"'
    table = list(csv.reader(io.StringIO(response.text)))
    assert table[0] == ["purchased_on", "domain", "amount", "currency"]
    assert table[1] == ["2026-11-23", "firma.example", "99.99", "EUR"]
    assert sorted(table[2:]) == [
        ["2026-11-22", "firma.example", "0.50", "CHF"],
        ["2026-11-22", "firma.example", "10.00", "EUR"],
    ]


async def test_a_credit_tells_the_day_of_the_purchase_and_no_second_of_it(api: "Api", clock: "HandClock") -> None:
    request = RegistrationIn.model_validate(api.body())
    await api.parts.registrations.register(request)
    clock.pass_time(hours=3, minutes=17, seconds=43)
    await api.tell(purchased(api, occurred_at=(clock.now() - timedelta(minutes=4)).isoformat()))
    (row,) = await api.rows("credits")
    assert (row["purchased_on"].isoformat(), row["recorded_at"]) == (
        "2026-11-22",
        datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
    )
