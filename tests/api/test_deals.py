"""Deals: the same consent rules as for leads, a reference, and in the double opt-in region a growth specialist."""

from typing import TYPE_CHECKING

import pytest

from tests.api.conftest import Given, Json

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api
    from tests.conftest import HandClock

GIL = "gil@vendor.example"


async def deal(api: "Api", registration_id: str = "r-1", **changes: Given) -> "httpx.Response":
    return await api.register(registration_id, **({"kind": "deal", "deal_reference": "OPP-7:2026"} | changes))


async def specialists(api: "Api") -> list[tuple[str, str, list[str]]]:
    rows = await api.rows("subscribers ORDER BY email")
    followed = await api.rows("specialist_companies ORDER BY domain")
    return [
        (
            row["email"],
            f"{row['kind']} {row['state']}",
            [each["domain"] for each in followed if each["subscriber_id"] == row["subscriber_id"]],
        )
        for row in rows
    ]


async def test_a_deal_carries_its_reference_and_follows_the_same_consent_rules(api: "Api") -> None:
    resource = (await deal(api)).json()
    lead = (await api.register("r-2", email="max@firma.example")).json()
    assert (resource["kind"], resource["deal_reference"], lead["deal_reference"]) == ("deal", "OPP-7:2026", None)
    same = ("regime", "reason", "state", "due_at", "owned_until", "status")
    assert [resource[name] for name in same] == [lead[name] for name in same]
    assert (await api.show())["deal_reference"] == "OPP-7:2026"


async def test_a_deal_needs_no_reference(api: "Api") -> None:
    assert (await deal(api, deal_reference=None)).json()["deal_reference"] is None


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"kind": "lead"}, {"/deal_reference": "only_for_deals"}),
        ({"kind": None}, {"/deal_reference": "only_for_deals"}),
        ({"kind": "lead", "deal_reference": None, "growth_specialist": GIL}, {"/growth_specialist": "only_for_deals"}),
        ({"growth_specialist": GIL, "country": "FR"}, {"/growth_specialist": "outside_the_region"}),
        ({"growth_specialist": GIL, "country": "US"}, {"/growth_specialist": "outside_the_region"}),
        ({"growth_specialist": GIL, "country": None}, {"/growth_specialist": "outside_the_region"}),
        ({"growth_specialist": "secret"}, {"/growth_specialist": "invalid_address"}),
        ({"deal_reference": "secret@deal.example"}, {"/deal_reference": "string_pattern_mismatch"}),
        ({"deal_reference": "x" * 65}, {"/deal_reference": "string_too_long"}),
        ({"deal_reference": ""}, {"/deal_reference": "string_too_short"}),
    ],
)
async def test_what_can_be_said_only_of_another_registration_is_refused(
    api: "Api", changes: dict[str, Given], pointers: dict[str, str]
) -> None:
    stored = await api.everything_stored()
    response = await deal(api, **changes)
    assert api.pointers(response) == pointers
    assert "secret" not in response.text
    assert "gil@" not in response.text
    assert await api.everything_stored() == stored


async def test_the_reference_is_part_of_what_a_repeat_must_repeat(api: "Api") -> None:
    assert [(await deal(api)).status_code for _ in range(2)] == [202, 200]
    api.problem(await deal(api, deal_reference="OPP-8"), 409, "registration_conflict")


# The growth specialist.


@pytest.mark.parametrize("country", ["DE", "AT", "CH"])
async def test_a_growth_specialist_is_told_at_once_and_nobody_is_shown_its_address(api: "Api", country: str) -> None:
    response = await deal(api, country=country, growth_specialist=GIL)
    assert await specialists(api) == [(GIL, "growth_specialist active", ["firma.example"])]
    shown = response.text + str(await api.show())
    assert "vendor" not in shown
    assert "growth" not in shown
    assert "gil@" not in str(await api.rows("registrations")) + str(await api.rows("ledger"))
    assert await api.rows("mails") == []
    entries = [row["detail"] for row in await api.rows("ledger WHERE event = 'subscriber_added'")]
    assert entries == [{"partner_id": "p-77", "kind": "growth_specialist", "how": "deal"}]


async def test_a_growth_specialist_is_told_about_the_companies_of_its_deals_alone(api: "Api") -> None:
    await deal(api, "r-1", growth_specialist=GIL)
    await deal(api, "r-2", email="kim@other.example", company=None)
    await api.tell(api.event("company.demo_requested", None, data={"domain": "other.example"}))
    assert await api.rows("digests") == []
    await api.tell(api.event("company.demo_requested", None, data={"domain": "firma.example"}))
    assert len(await api.rows("digests")) == 1


async def test_a_second_deal_adds_its_company_and_a_repeat_adds_nothing(api: "Api") -> None:
    await deal(api, "r-1", growth_specialist=GIL)
    await deal(api, "r-2", growth_specialist=GIL, email="kim@other.example", company=None)
    stored = await api.everything_stored()
    await deal(api, "r-2", growth_specialist=GIL, email="kim@other.example", company=None)
    assert await api.everything_stored() == stored
    assert await specialists(api) == [(GIL, "growth_specialist active", ["firma.example", "other.example"])]


async def test_a_growth_specialist_goes_with_the_last_deal_that_names_it(api: "Api") -> None:
    await deal(api, "r-1", growth_specialist=GIL, country="CH")
    await deal(api, "r-2", growth_specialist=GIL, country="CH", email="max@firma.example")
    await deal(api, "r-3", growth_specialist=GIL, country="CH", email="kim@other.example", company=None)
    await api.withdraw("r-1")
    assert await specialists(api) == [(GIL, "growth_specialist active", ["firma.example", "other.example"])]
    await api.withdraw("r-2")
    assert await specialists(api) == [(GIL, "growth_specialist active", ["other.example"])]
    await api.withdraw("r-3")
    assert await specialists(api) == []


async def test_whoever_subscribes_already_keeps_its_choice(api: "Api") -> None:
    choice = {"actions": ["purchased"], "delivery": "weekly"}
    await api.call("PUT", f"/v1/partners/p-77/subscribers/{GIL}", json=choice)
    await deal(api, growth_specialist=GIL)
    assert await specialists(api) == [(GIL, "partner pending", [])]
    assert [row["actions"] for row in await api.rows("subscribers")] == [["purchased"]]


async def test_a_growth_specialist_chooses_like_any_subscriber_and_stays_one(api: "Api") -> None:
    await deal(api, growth_specialist=GIL)
    choice: Json = {"actions": ["purchased"], "delivery": "weekly"}
    changed = (await api.call("PUT", f"/v1/partners/p-77/subscribers/{GIL}", json=choice)).json()
    assert (changed["kind"], changed["state"], changed["delivery"]) == ("growth_specialist", "active", "weekly")
    assert await api.rows("mails") == []


async def test_a_company_that_nobody_can_own_has_no_growth_specialist(api: "Api") -> None:
    response = await deal(api, growth_specialist=GIL, email="lea@gmail.com", company=None)
    assert response.status_code == 202
    assert await specialists(api) == []


async def test_the_lead_itself_may_be_the_growth_specialist(api: "Api", clock: "HandClock") -> None:
    await deal(api, growth_specialist="lea@firma.example")
    clock.pass_time(days=1)
    await api.happened("contact.objected")
    assert await specialists(api) == [("lea@firma.example", "growth_specialist active", ["firma.example"])]
    assert (await api.show())["state"] == "suppressed"
