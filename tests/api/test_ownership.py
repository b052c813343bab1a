"""Who owns a company, since when and until when; and that nobody learns of another partner."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.api.conftest import Api
    from tests.conftest import HandClock


async def held(api: "Api") -> list[tuple[str, str, str]]:
    rows = await api.rows("ownerships ORDER BY domain")
    return [(row["partner_id"], f"{row['since']:%Y-%m-%d}", f"{row['until']:%Y-%m-%d}") for row in rows]


@pytest.mark.parametrize(
    ("accepted", "until"),
    [
        ((2026, 8, 31), "2027-02-28"),
        ((2026, 8, 30), "2027-02-28"),
        ((2027, 8, 31), "2028-02-29"),
        ((2026, 2, 28), "2026-08-28"),
        ((2026, 10, 31), "2027-04-30"),
        ((2026, 12, 31), "2027-06-30"),
        ((2028, 2, 29), "2028-08-29"),
    ],
)
async def test_six_calendar_months_end_with_the_month_where_it_is_shorter(
    api: "Api", clock: "HandClock", accepted: tuple[int, int, int], until: str
) -> None:
    clock.at = datetime(*accepted, 9, 30, 15, tzinfo=UTC)
    assert (await api.register()).json()["owned_until"] == f"{until}T09:30:15Z"


async def test_a_renewal_keeps_the_beginning_and_moves_the_end(api: "Api", clock: "HandClock") -> None:
    await api.register("r-1")
    clock.at = datetime(2027, 5, 1, 9, 0, tzinfo=UTC)
    await api.register("r-2", email="max@firma.example")
    assert await held(api) == [("p-77", "2026-11-22", "2027-11-01")]


async def test_a_renewal_never_ends_earlier(api: "Api", clock: "HandClock") -> None:
    clock.at = datetime(2026, 8, 30, 23, 0, tzinfo=UTC)
    await api.register("r-1")
    clock.at = datetime(2026, 8, 31, 1, 0, tzinfo=UTC)
    assert (await api.register("r-2", email="max@firma.example")).json()["owned_until"] == "2027-02-28T23:00:00Z"


async def test_an_ownership_that_has_ended_begins_anew_for_the_same_partner_too(api: "Api", clock: "HandClock") -> None:
    await api.register("r-1")
    clock.at = datetime(2027, 5, 22, 9, 0, tzinfo=UTC)
    await api.register("r-2", email="max@firma.example")
    assert await held(api) == [("p-77", "2027-05-22", "2027-11-22")]


async def test_another_partner_takes_what_has_ended_and_the_former_owner_is_refused(
    api: "Api", clock: "HandClock"
) -> None:
    await api.register("r-1", country="US")
    clock.at = datetime(2027, 11, 22, 9, 0, tzinfo=UTC)
    assert (await api.show("r-1"))["status"] == "expired"
    assert (await api.register("r-2", partner_id="p-2", country="US")).status_code == 202
    assert await held(api) == [("p-2", "2027-11-22", "2028-05-22")]
    api.problem(await api.register("r-3", email="max@firma.example"), 409, "owned_by_other_partner")


async def test_the_status_of_an_account_is_asked_at_a_renewal_too(api: "Api") -> None:
    await api.register("r-1")
    await api.set_account("firma.example", "in_sales_process")
    api.problem(await api.register("r-2", email="max@firma.example"), 409, "active_sales_process")
    assert await held(api) == [("p-77", "2026-11-22", "2027-05-22")]


async def test_a_withdrawn_renewal_leaves_what_the_earlier_registration_carries(api: "Api", clock: "HandClock") -> None:
    await api.register("r-1", country="US")
    clock.at = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
    await api.register("r-2", email="max@firma.example", country="US")
    await api.withdraw("r-2")
    assert await held(api) == [("p-77", "2026-11-22", "2027-05-22")]


async def test_a_registration_of_an_earlier_ownership_carries_no_later_one(api: "Api", clock: "HandClock") -> None:
    await api.register("r-1", country="US")
    clock.at = datetime(2027, 8, 1, 9, 0, tzinfo=UTC)
    await api.register("r-2", email="max@firma.example", country="US")
    await api.withdraw("r-2")
    assert await held(api) == []
    assert (await api.register("r-3", partner_id="p-2", country="US")).status_code == 202


async def test_withdrawing_a_former_owners_registration_takes_nothing_from_the_present_one(
    api: "Api", clock: "HandClock"
) -> None:
    await api.register("r-1", country="US")
    clock.at = datetime(2027, 6, 1, 9, 0, tzinfo=UTC)
    await api.register("r-2", partner_id="p-2", country="US")
    await api.withdraw("r-1")
    assert await held(api) == [("p-2", "2027-06-01", "2027-12-01")]


async def test_no_answer_names_the_other_partner(api: "Api", clock: "HandClock") -> None:
    await api.register("r-1", partner_id="p-former", country="US")
    clock.at = datetime(2027, 6, 1, 9, 0, tzinfo=UTC)
    await api.register("r-2", partner_id="p-present", country="US", registered_by="pia@present.example")
    purchase = {"domain": "firma.example", "amount": "10.00", "currency": "EUR"}
    await api.tell(api.event("company.purchased", None, data=purchase))
    of_the_former = [
        await api.register("r-3", partner_id="p-former", country="US"),
        await api.call("GET", "/v1/registrations/r-1"),
        await api.correct("r-1", "CA"),
        await api.withdraw("r-1"),
        await api.call("GET", "/v1/partners/p-former/companies"),
        await api.call("GET", "/v1/partners/p-former/credits"),
        await api.call("GET", "/v1/partners/p-former/credits.csv"),
    ]
    assert [answer.status_code for answer in of_the_former] == [409, 200, 200, 200, 200, 200, 200]
    assert [answer.text for answer in of_the_former if "present" in answer.text] == []
    assert of_the_former[4].json() == {"companies": [], "after": None}
    assert of_the_former[5].json() == {"credits": [], "after": None}
