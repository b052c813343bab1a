"""Partners: what they are called, the companies they own, and what these did lately, by the day."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from consentflow.operations.keys import Role
from tests.api.conftest import Given, Json

if TYPE_CHECKING:
    from tests.api.conftest import Api
    from tests.conftest import HandClock

PARTNER = {"name": "Partner GmbH", "language": "de", "timezone": "Europe/Berlin"}


async def companies(api: "Api", partner_id: str = "p-77", query: str = "") -> Json:
    response = await api.call("GET", f"/v1/partners/{partner_id}/companies{query}")
    assert response.status_code == 200, response.text
    found: Json = response.json()
    return found


async def test_a_partner_is_kept_and_shown(api: "Api") -> None:
    put = await api.call("PUT", "/v1/partners/p-77", json=PARTNER)
    assert (put.status_code, put.json()) == (200, {"partner_id": "p-77"} | PARTNER)
    assert (await api.call("GET", "/v1/partners/p-77")).json() == put.json()


async def test_language_and_time_zone_may_be_left_to_us(api: "Api") -> None:
    put = await api.call("PUT", "/v1/partners/p-77", json={"name": " Parceiro  Lda "})
    assert put.json() == {
        "partner_id": "p-77",
        "name": "Parceiro Lda",
        "language": "en",
        "timezone": "Europe/Berlin",
    }


async def test_the_last_word_counts_and_a_repeat_leaves_no_trace(api: "Api") -> None:
    await api.call("PUT", "/v1/partners/p-77", json=PARTNER)
    changed = PARTNER | {"name": "Partner AG", "language": "fr", "timezone": "Europe/Zurich"}
    await api.call("PUT", "/v1/partners/p-77", json=changed)
    stored = await api.everything_stored()
    assert (await api.call("PUT", "/v1/partners/p-77", json=changed)).json() == {"partner_id": "p-77"} | changed
    assert await api.everything_stored() == stored
    entries = [row["detail"] for row in await api.rows("ledger WHERE event = 'partner_changed' ORDER BY entry_id")]
    assert [entry["time_zone"] for entry in entries] == ["Europe/Berlin", "Europe/Zurich"]


async def test_a_partner_that_nobody_told_us_about_is_not_found(api: "Api") -> None:
    await api.register()
    api.problem(await api.call("GET", "/v1/partners/p-77"), 404, "not_found")


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"name": None}, "/name"),
        ({"name": "  "}, "/name"),
        ({"name": "a\u202eb"}, "/name"),
        ({"name": "x" * 300}, "/name"),
        ({"name": "=?utf-8?q?x?="}, "/name"),
        ({"language": "de-AT"}, "/language"),
        ({"language": "nl"}, "/language"),
        ({"language": None}, "/language"),
        ({"timezone": "Mars/Olympus"}, "/timezone"),
        ({"timezone": "europe/berlin"}, "/timezone"),
        ({"timezone": "../etc/passwd"}, "/timezone"),
        ({"timezone": ""}, "/timezone"),
        ({"timezone": 1}, "/timezone"),
        ({"owner": "somebody"}, "/owner"),
    ],
)
async def test_what_cannot_be_a_partner_is_refused(api: "Api", changes: dict[str, Given], pointer: str) -> None:
    stored = await api.everything_stored()
    response = await api.call("PUT", "/v1/partners/p-77", json=PARTNER | changes)
    assert set(api.pointers(response)) == {pointer}
    assert await api.everything_stored() == stored


@pytest.mark.parametrize("partner_id", ["a@b.example", "x" * 65, "a%20b", "%00"])
async def test_a_partners_id_is_the_callers_own_and_never_an_address(api: "Api", partner_id: str) -> None:
    response = await api.call("PUT", f"/v1/partners/{partner_id}", json=PARTNER)
    assert set(api.pointers(response)) == {"/partner_id"}
    assert "a@b" not in response.text


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/partners/p-77", {Role.REGISTRAR, Role.ADMIN}),
        ("GET", "/v1/partners/p-77", {Role.REGISTRAR, Role.OFFICER, Role.ADMIN}),
        ("GET", "/v1/partners/p-77/companies", {Role.REGISTRAR, Role.OFFICER, Role.ADMIN}),
        ("GET", "/v1/partners/p-77/credits", {Role.REGISTRAR, Role.OFFICER, Role.ADMIN}),
        ("GET", "/v1/partners/p-77/credits.csv", {Role.REGISTRAR, Role.OFFICER, Role.ADMIN}),
        ("GET", "/v1/partners/p-77/subscribers", {Role.REGISTRAR, Role.OFFICER, Role.ADMIN}),
        ("PUT", "/v1/partners/p-77/subscribers/a@b.example", {Role.REGISTRAR, Role.ADMIN}),
        ("GET", "/v1/partners/p-77/subscribers/a@b.example", {Role.REGISTRAR, Role.OFFICER, Role.ADMIN}),
        ("DELETE", "/v1/partners/p-77/subscribers/a@b.example", {Role.REGISTRAR, Role.ADMIN}),
    ],
)
async def test_only_the_registering_side_changes_and_officers_may_look(
    api: "Api", method: str, path: str, allowed: set[Role]
) -> None:
    passed = set()
    for role in (*Role, None):
        status = (await api.call(method, path, role=role, json={} if method == "PUT" else None)).status_code
        assert status == 401 if role is None else status != 401
        passed |= {role} if status not in {401, 403} else set()
    assert passed == allowed


# Companies.


async def test_a_partner_sees_its_companies_until_when_and_what_they_did_by_the_day(
    api: "Api", clock: "HandClock"
) -> None:
    await api.call("PUT", "/v1/partners/p-77", json=PARTNER)
    await api.register("r-1")
    await api.register("r-2", email="kim@other.example", company=None)
    clock.at = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
    for time in ("2026-11-22T22:59:00Z", "2026-11-22T23:01:00Z", "2026-11-23T08:00:00Z"):  # midnight is at 23 in Berlin
        data = {"domain": "firma.example", "occurred_at": time}
        await api.tell(api.event("company.pricing_viewed", None, data=data))
    demo = {"domain": "firma.example", "occurred_at": "2026-11-23T21:00:00Z"}
    await api.tell(api.event("company.demo_requested", None, data=demo))
    assert await companies(api) == {
        "companies": [
            {
                "domain": "firma.example",
                "name": "Firma GmbH",
                "owned_since": "2026-11-22T09:00:00Z",
                "owned_until": "2027-05-22T09:00:00Z",
                "lately": [
                    {"day": "2026-11-23", "action": "demo_requested", "count": 1},
                    {"day": "2026-11-23", "action": "pricing_viewed", "count": 2},
                    {"day": "2026-11-22", "action": "pricing_viewed", "count": 1},
                ],
            },
            {
                "domain": "other.example",
                "name": None,
                "owned_since": "2026-11-22T09:00:00Z",
                "owned_until": "2027-05-22T09:00:00Z",
                "lately": [],
            },
        ],
        "after": None,
    }


async def test_what_was_long_ago_and_what_is_owned_no_more_is_not_shown(api: "Api", clock: "HandClock") -> None:
    await api.register(country="US")
    await api.tell(api.event("company.pricing_viewed", None, data={"domain": "firma.example"}))
    clock.pass_time(days=31)
    assert [company["lately"] for company in (await companies(api))["companies"]] == [[]]
    clock.pass_time(days=160)
    assert await companies(api) == {"companies": [], "after": None}


async def test_a_company_is_called_as_the_partner_registered_it_last(api: "Api", clock: "HandClock") -> None:
    await api.register("r-1")
    clock.pass_time(days=1)
    await api.register("r-2", email="max@firma.example", company={"name": "Firma AG", "domain": "firma.example"})
    clock.pass_time(days=1)
    await api.register("r-3", email="eva@firma.example", company=None)
    assert [company["name"] for company in (await companies(api))["companies"]] == ["Firma AG"]


async def test_a_long_list_of_companies_is_read_page_by_page(api: "Api") -> None:
    for number in range(7):
        await api.register(f"r-{number}", email=f"lea@firma{number}.example", company=None, country="US")
    await api.register("r-other", partner_id="p-2", email="lea@firma9.example", company=None, country="US")
    seen, after = [], ""
    for _ in range(3):
        page = await companies(api, query=f"?most=3{after}")
        seen.append([company["domain"] for company in page["companies"]])
        after = f"&after={page['after']}"
    assert seen == [
        ["firma0.example", "firma1.example", "firma2.example"],
        ["firma3.example", "firma4.example", "firma5.example"],
        ["firma6.example"],
    ]
    assert page["after"] is None


@pytest.mark.parametrize(
    "after", ["x", "%00", "AAAA", "MjAyNi0xMS0yMlQwOTowMDowMCswMDowMCAA", "%f0%9f%a6%8a", "=" * 401]
)
@pytest.mark.parametrize("listed", ["companies", "subscribers", "credits"])
async def test_a_mark_that_is_none_of_ours_is_refused(api: "Api", listed: str, after: str) -> None:
    response = await api.call("GET", f"/v1/partners/p-77/{listed}?after={after}")
    assert set(api.pointers(response)) == {"/after"}


async def test_no_person_of_the_leads_side_is_in_any_of_it(api: "Api") -> None:
    await api.call("PUT", "/v1/partners/p-77", json=PARTNER)
    await api.register()
    await api.tell(api.event("company.trial_requested", "lea@firma.example"))
    money = {"email": "lea@firma.example", "amount": "5", "currency": "EUR"}
    await api.tell(api.event("company.purchased", None, data=money))
    paths = ["", "/companies", "/credits", "/credits.csv", "/subscribers"]
    shown = "".join([(await api.call("GET", f"/v1/partners/p-77{path}")).text for path in paths])
    assert "firma.example" in shown
    assert {mark for mark in ("lea", "Muster", "s-", "r-1", ":00") if mark in shown} <= {":00"}  # owned until
