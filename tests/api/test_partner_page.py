"""The page of a partner's people: its own companies, never a person, and what is told under everybody's control."""

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from html import unescape
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from consentflow.api.app import create_app
from consentflow.domain.letters import Language
from consentflow.operations.partner_desk import COMPANIES_PER_PAGE
from consentflow.runtime import Parts
from tests.api.signing_in import ANA, form_token, sign_in
from tests.conftest import HandClock, make_settings

if TYPE_CHECKING:
    from tests.api.conftest import Api

BOB = "bob@other.example"
LEAD = {"given_name": "Zebulon", "family_name": "Quetzalcoatl"}
LEAD_ADDRESS = "zebulon.q@firma.example"
PAGES = ["", "/notifications", "/credits", "/leave", "/credits.csv"]
NUMBERS = count(1)

EVERYTHING = {"extent": "all", "delivery": "daily", "hour": "8", "weekday": "0", "mails": ""}


@pytest.fixture(autouse=True)
async def registered(api: "Api") -> None:
    """A company of Ana's partner p-77, and one of Bob's partner p-99."""
    await own(api, "firma.example", "Firma GmbH", contact={"email": LEAD_ADDRESS, **LEAD})
    await own(api, "rival.example", "Rival AG", partner="p-99", by=BOB)


async def own(
    api: "Api", domain: str, name: str | None = None, partner: str = "p-77", by: str = ANA, **more: object
) -> None:
    number = next(NUMBERS)
    company = {"domain": domain} | ({"name": name} if name else {})
    contact = {"email": f"someone-{number}@mail-{number}.example"}
    body = {"partner_id": partner, "registered_by": by, "company": company, "contact": contact, "country": "US"}
    assert (await api.register(f"r-{number}", **(body | more))).status_code == 202


async def happens(api: "Api", action: str, domain: str = "firma.example", **data: Any) -> None:  # noqa: ANN401 - as events have it
    event = api.event(f"company.{action}", None, data={"domain": domain, **data})
    assert (await api.tell(event)).json() == {"accepted": 1, "duplicate": 0, "unmatched": 0}


async def look(api: "Api", path: str = "", **query: str) -> httpx.Response:
    return await api.client.get(f"/partner{path}", params=query)


async def text(api: "Api", path: str = "", **query: str) -> str:
    """What a reader sees of a page, in English unless it is asked for in another language."""
    answer = await look(api, path, **({"language": "en"} | query))
    assert answer.status_code == 200, answer.text
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text.partition("<main")[2])).split())


async def titles(api: "Api", **query: str) -> list[str]:
    return re.findall(r"<h3><bdi>(.*?)</bdi></h3>", (await look(api, **query)).text)


async def send(api: "Api", path: str, form: dict[str, Any] | None = None, **query: str) -> httpx.Response:
    """Sends a form of the page, as the page itself would."""
    token = form_token(await look(api))
    return await api.client.post(f"/partner{path}", params=query, data={"csrf": token, **(form or {})})


async def subscriber(api: "Api", partner: str = "p-77") -> dict[str, Any] | None:
    rows = await api.rows(f"subscribers WHERE partner_id = '{partner}'")
    return rows[0] if rows else None


class TestWhoSeesWhat:
    async def test_a_partner_sees_its_own_companies_alone(self, api: "Api") -> None:
        await happens(api, "trial_requested", "rival.example")
        await sign_in(api)
        for path in PAGES:
            answer = await look(api, path)
            assert "Rival" not in answer.text
            assert "rival.example" not in answer.text
            assert "p-99" not in answer.text
        assert await titles(api) == ["Firma GmbH"]

    @pytest.mark.parametrize("path", PAGES)
    async def test_another_partner_s_page_is_not_found(self, api: "Api", path: str) -> None:
        await sign_in(api)
        answer = await look(api, path, partner="p-99")
        assert answer.status_code == 404
        assert "Rival" not in answer.text

    @pytest.mark.parametrize("path", ["/notifications", "/pause", "/resume", "/leave"])
    async def test_nothing_of_another_partner_is_changed(self, api: "Api", path: str) -> None:
        put = await api.call(
            "PUT", f"/v1/partners/p-99/subscribers/{BOB}", json={"actions": "all", "delivery": "daily"}
        )
        assert put.status_code in {200, 201, 202}
        await sign_in(api)
        token = form_token(await look(api))
        before = await api.everything_stored(without="sessions")
        answer = await api.client.post(
            f"/partner{path}", params={"partner": "p-99"}, data={"csrf": token, **EVERYTHING}
        )
        assert answer.status_code in {303, 404}
        assert await api.everything_stored(without="sessions") == before

    async def test_a_company_whose_time_is_over_is_not_shown_any_more(self, api: "Api", clock: HandClock) -> None:
        clock.pass_time(days=190)
        await sign_in(api)
        assert "You own no company at present." in await text(api)

    @pytest.mark.parametrize("language", Language)
    async def test_no_page_names_a_lead(self, api: "Api", language: Language) -> None:
        await api.happened("contact.opted_in", LEAD_ADDRESS)
        event = api.event("company.trial_requested", None, data={"email": LEAD_ADDRESS})
        assert (await api.tell(event)).json()["accepted"] == 1
        await sign_in(api)
        await send(api, "/notifications", EVERYTHING)
        people = [row["subject"] for row in await api.rows("contacts")]
        registrations = [row["registration_id"] for row in await api.rows("registrations")]
        for path in PAGES:
            answer = await look(api, path, language=language)
            assert answer.status_code == 200
            words = set(re.findall(r"[\w.@-]+", answer.text))
            assert not words & {LEAD_ADDRESS, *LEAD.values(), *people, *registrations}, path
            assert "zebulon" not in answer.text.lower()

    async def test_no_time_of_day_is_told(self, api: "Api", clock: HandClock) -> None:
        clock.at = datetime.fromisoformat("2026-11-24T13:37:41+00:00")
        await happens(api, "pricing_viewed")
        await sign_in(api)
        assert not re.search(r"\d:\d\d|13h|14h", await text(api))

    async def test_a_growth_specialist_sees_the_companies_of_its_deals_and_no_credits(self, api: "Api") -> None:
        await own(
            api,
            "deal.example",
            "Deal SE",
            kind="deal",
            deal_reference="D-1",
            growth_specialist="gs@vendor.example",
            country="DE",
        )
        await happens(api, "trial_requested", "firma.example")
        await happens(api, "purchased", "deal.example", amount="10.00", currency="EUR")
        await sign_in(api, "gs@vendor.example")
        assert await titles(api) == ["Deal SE"]
        assert (await look(api, find="firma")).text.count("firma.example") == 0
        assert (await look(api, "/credits")).status_code == 404
        assert (await look(api, "/credits.csv")).status_code == 404
        assert "/partner/credits" not in (await look(api)).text

    async def test_who_acts_for_several_partners_chooses_and_stays_there(self, api: "Api") -> None:
        await own(api, "rival2.example", "Second GmbH", partner="p-99")
        await api.call(
            "PUT", "/v1/partners/p-99", json={"name": "Zweite Beratung", "language": "en", "timezone": "UTC"}
        )
        await sign_in(api)
        choice = await look(api)
        assert "Firma GmbH" not in choice.text
        assert '<a href="/partner?partner=p-77">p-77</a>' in choice.text
        assert '<a href="/partner?partner=p-99">Zweite Beratung</a>' in choice.text
        chosen = await look(api, partner="p-99")
        assert sorted(await titles(api, partner="p-99")) == ["Rival AG", "Second GmbH"]
        links = {unescape(link) for link in re.findall(r'(?:href|action)="(/partner[^"]*)"', chosen.text)}
        assert {link for link in links if "partner=p-99" not in link} == {"/partner"}
        assert 'name="partner" value="p-99"' not in chosen.text  # no search box for so few
        assert (await look(api, partner="p-1")).status_code == 404


class TestCompanies:
    async def test_urgent_ones_come_first_then_the_latest_active_then_the_others(
        self, api: "Api", clock: HandClock
    ) -> None:
        for name in ("early", "late", "asked", "quiet"):
            await own(api, f"{name}.example", name)
        clock.pass_time(days=1)
        await happens(api, "demo_requested", "asked.example")
        clock.pass_time(days=1)
        await happens(api, "content_viewed", "early.example")
        clock.pass_time(days=1)
        await happens(api, "pricing_viewed", "late.example")
        await sign_in(api)
        assert await titles(api) == ["asked", "late", "early", "Firma GmbH", "quiet"]
        shown = await text(api)
        assert shown.count("Urgent") == 1
        assert "Not active lately" in shown

    async def test_what_happened_is_told_by_kind_and_day(self, api: "Api", clock: HandClock) -> None:
        await api.call("PUT", "/v1/partners/p-77", json={"name": "N", "language": "en", "timezone": "Pacific/Auckland"})
        clock.at = datetime.fromisoformat("2026-11-24T10:59:59+00:00")
        for _ in range(3):
            await happens(api, "pricing_viewed")
        clock.at += timedelta(seconds=1)  # midnight in Auckland
        await happens(api, "trial_requested")
        await sign_in(api)
        shown = await text(api)
        assert "Trial requested Wed 25 Nov" in shown
        assert "Pricing page viewed 3 times Tue 24 Nov" in shown
        assert "27 Oct – 25 Nov 2026. Each bar is a day; days are those of Auckland." in shown
        picture = (await look(api)).text.partition("<svg")[2].partition("</svg>")[0]
        assert [int(left) for left in re.findall(r'<rect x="(\d+)"', picture)] == [4 * 28, 4 * 29]
        assert picture.count('class="urgent"') == 1

    async def test_what_is_older_than_thirty_days_is_not_told(self, api: "Api", clock: HandClock) -> None:
        await happens(api, "pricing_viewed")
        clock.pass_time(days=29)
        await sign_in(api)
        assert "Pricing page viewed" in await text(api)
        clock.pass_time(days=1)
        await sign_in(api)
        assert "Pricing page viewed" not in await text(api)

    async def test_a_name_is_shown_as_text_whatever_it_holds(self, api: "Api") -> None:
        await own(api, "evil.example", "<script>alert(1)</script> & Co")
        await sign_in(api)
        page = (await look(api)).text
        assert "<script" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; Co" in page

    async def test_one_finds_companies_by_a_part_of_name_or_domain(self, api: "Api") -> None:
        for name in ("Brauhaus Obertor", "Fjord 100% Data", "Käserei Ägeri"):
            await own(api, f"{name[:3].lower().replace('ä', 'ae')}.example", name)
        await sign_in(api)
        assert await titles(api, find="OBER") == ["Brauhaus Obertor"]
        assert await titles(api, find="ÄGERI") == ["Käserei Ägeri"]
        assert await titles(api, find="fjo.ex") == ["Fjord 100% Data"]
        assert await titles(api, find="%") == ["Fjord 100% Data"]
        assert await titles(api, find="_") == []
        assert "Found: 0" in await text(api, find="nothing like that")
        assert (await look(api, find="\x00'\"<b>\u202e" * 50)).status_code == 200

    async def test_many_are_shown_page_by_page(self, api: "Api") -> None:
        for number in range(COMPANIES_PER_PAGE + 4):
            await own(api, f"many-{number:02}.example")
        await sign_in(api)
        first, second = await titles(api), await titles(api, page="2")
        assert (len(first), len(second)) == (COMPANIES_PER_PAGE, 5)
        assert not set(first) & set(second)
        page = await look(api, page="2", language="en")
        assert "Page 2 of 2" in page.text
        assert 'rel="prev" href="/partner?language=en&amp;page=1"' in page.text
        assert 'rel="next"' not in page.text
        for odd in ("0", "-1", "x", "1e9", "99", "9" * 30):
            assert await titles(api, page=odd) == first
        assert len(await titles(api, find="many", page="2")) == 4


class TestNotifications:
    async def test_subscribing_needs_no_second_confirmation(self, api: "Api", clock: HandClock) -> None:
        await sign_in(api)
        assert "You get no notifications yet." in await text(api, "/notifications")
        assert '<option value="it" lang="it" selected>' in (await look(api, "/notifications", language="it")).text
        form = EVERYTHING | {"delivery": "weekly", "hour": "17", "weekday": "4", "mails": "pt"}
        answer = await send(api, "/notifications", form)
        assert answer.headers["location"] == "/partner/notifications?done=saved"
        row = await subscriber(api)
        assert row is not None
        assert (row["state"], row["email"], row["since"], row["actions"]) == ("active", ANA, clock.at, None)
        assert (row["delivery"], row["hour"], row["weekday"], row["language"]) == ("weekly", 17, 4, "pt")
        assert await api.rows("mails WHERE purpose = 'subscription'") == []
        shown = await text(api, "/notifications", done="saved")
        assert "Your choice is saved." in shown
        assert "You are told every week, on Friday at 17:00, if there is news." in shown

    async def test_what_was_chosen_is_shown_and_changed(self, api: "Api") -> None:
        await sign_in(api)
        chosen = EVERYTHING | {"extent": "some", "action": ["trial_requested", "purchased"], "delivery": "immediate"}
        await send(api, "/notifications", chosen)
        row = await subscriber(api)
        assert row is not None
        assert row["actions"] == ["trial_requested", "purchased"]
        page = (await look(api, "/notifications")).text
        assert set(re.findall(r'value="(\w+)" checked', page)) == {"some", "trial_requested", "purchased", "immediate"}
        await send(api, "/notifications", EVERYTHING)
        row = await subscriber(api)
        assert row is not None
        assert row["actions"] is None

    @pytest.mark.parametrize(
        "wrong",
        [
            {"extent": "some"},
            {"extent": "some", "action": ["gossip"]},
            {"delivery": "hourly"},
            {"hour": "24"},
            {"hour": "-1"},
            {"hour": "8.5"},
            {"hour": ""},
            {"weekday": "7"},
            {"mails": "xx"},
            {"delivery": ["daily", "weekly"]},
        ],
    )
    async def test_what_cannot_be_chosen_is_said_and_changes_nothing(self, api: "Api", wrong: dict[str, Any]) -> None:
        await sign_in(api)
        answer = await send(api, "/notifications", EVERYTHING | wrong)
        assert answer.status_code == 422
        assert 'role="alert"' in answer.text
        assert await subscriber(api) is None

    async def test_whoever_was_added_and_has_not_confirmed_is_in_by_saving(self, api: "Api") -> None:
        await api.call("PUT", f"/v1/partners/p-77/subscribers/{ANA}", json={"actions": "all", "delivery": "daily"})
        await sign_in(api)
        assert "You have not confirmed yet" in await text(api, "/notifications")
        await send(api, "/notifications", EVERYTHING)
        row = await subscriber(api)
        assert row is not None
        assert row["state"] == "active"

    async def test_one_pauses_and_resumes(self, api: "Api") -> None:
        await sign_in(api)
        await send(api, "/notifications", EVERYTHING)
        assert (await send(api, "/pause")).headers["location"].endswith("?done=paused")
        assert "Your notifications are paused." in await text(api, "/notifications")
        await send(api, "/notifications", EVERYTHING | {"hour": "9"})
        row = await subscriber(api)
        assert row is not None
        assert (row["state"], row["hour"]) == ("paused", 9)
        await send(api, "/resume")
        row = await subscriber(api)
        assert row is not None
        assert row["state"] == "active"

    async def test_it_says_when_the_next_mail_leaves_in_the_partner_s_time(self, api: "Api") -> None:
        await api.call(
            "PUT", "/v1/partners/p-77", json={"name": "N", "language": "en", "timezone": "America/Sao_Paulo"}
        )
        await sign_in(api)
        await send(api, "/notifications", EVERYTHING | {"hour": "18"})
        assert "There is no news to tell at present." in await text(api, "/notifications")
        await happens(api, "pricing_viewed")
        shown = await text(api, "/notifications")
        assert "The next mail leaves on Sunday, 22 November 2026 at 18:00." in shown  # it is 06:00 there
        assert "Hours and days are those of Sao Paulo (America/Sao_Paulo)." in shown

    async def test_one_leaves_after_being_asked_once(self, api: "Api") -> None:
        await sign_in(api)
        assert (await look(api, "/leave")).status_code == 404
        await send(api, "/notifications", EVERYTHING)
        assert "Yes, leave" in await text(api, "/leave")
        assert await subscriber(api) is not None
        answer = await send(api, "/leave")
        assert answer.status_code == 200
        assert await subscriber(api) is None
        assert (await look(api)).status_code == 200

    async def test_who_is_nothing_but_a_subscriber_is_signed_out_by_leaving(self, api: "Api") -> None:
        eva = "eva@partner.example"
        await api.call("PUT", f"/v1/partners/p-77/subscribers/{eva}", json={"actions": "all", "delivery": "daily"})
        await sign_in(api, eva)
        answer = await send(api, "/leave", language="en")
        assert "You are signed out by that." in answer.text
        assert eva not in answer.text
        assert (await look(api)).status_code == 303
        assert eva not in await api.everything_stored(without="mails")

    @pytest.mark.parametrize("path", ["", "/notifications", "/leave", "/credits", "/credits.csv"])
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_looking_changes_nothing(self, api: "Api", path: str, method: str) -> None:
        await sign_in(api)
        await send(api, "/notifications", EVERYTHING)
        stored = await api.everything_stored()
        assert (await api.client.request(method, f"/partner{path}")).status_code == 200
        assert await api.everything_stored() == stored


class TestCredits:
    @pytest.fixture(autouse=True)
    async def purchases(self, api: "Api", clock: HandClock) -> None:
        await happens(api, "purchased", amount="1000.10", currency="EUR")
        await happens(api, "purchased", amount="0.20", currency="EUR")
        await happens(api, "purchased", amount="5", currency="CHF")
        await happens(api, "purchased", "rival.example", amount="777", currency="EUR")
        clock.pass_time(days=10)
        await happens(api, "purchased", amount="70", currency="EUR")

    async def test_are_added_up_by_month_and_currency(self, api: "Api") -> None:
        await sign_in(api)
        rows = re.findall(
            r"<tr><th scope=\"row\">(.*?)</th><td.*?>(.*?)</td><td.*?>(.*?)</td></tr>",
            (await look(api, "/credits", language="en")).text,
        )
        assert rows == [
            ("December 2026", "1", "70.00\xa0EUR"),
            ("November 2026", "1", "5.00\xa0CHF"),
            ("November 2026", "2", "1,000.30\xa0EUR"),
        ]

    async def test_are_told_to_spreadsheets_purchase_by_purchase(self, api: "Api") -> None:
        await sign_in(api)
        answer = await look(api, "/credits.csv")
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="credits.csv"'
        assert answer.headers["cache-control"] == "no-store"
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert [(row["purchased_on"], row["domain"], row["amount"], row["currency"]) for row in rows] == [
            ("2026-12-02", "firma.example", "70.00", "EUR"),
            ("2026-11-22", "firma.example", "5.00", "CHF"),
            ("2026-11-22", "firma.example", "0.20", "EUR"),
            ("2026-11-22", "firma.example", "1000.10", "EUR"),
        ]

    async def test_that_there_are_none_is_said(self, api: "Api") -> None:
        await own(api, "third.example", partner="p-3", by="cora@third.example")
        await sign_in(api, "cora@third.example")
        assert "Nothing has been credited yet." in await text(api, "/credits")


class TestLanguage:
    async def test_is_the_one_asked_for_and_stays_from_page_to_page(self, api: "Api") -> None:
        await sign_in(api)
        page = (await look(api, language="it")).text
        assert '<html lang="it">' in page
        assert 'href="/partner/notifications?language=it"' in page
        answer = await send(api, "/notifications", EVERYTHING, language="it")
        assert answer.headers["location"] == "/partner/notifications?language=it&done=saved"

    async def test_else_the_subscriber_s_then_the_partner_s_then_that_of_signing_in(self, api: "Api") -> None:
        async def spoken() -> str:
            found = re.search(r'<html lang="(\w+)">', (await look(api)).text)
            assert found is not None
            return found[1]

        await sign_in(api, language="fr")
        assert await spoken() == "fr"
        await api.call("PUT", "/v1/partners/p-77", json={"name": "N", "language": "es", "timezone": "Europe/Madrid"})
        assert await spoken() == "es"
        await send(api, "/notifications", EVERYTHING | {"mails": "pt"})
        assert await spoken() == "pt"

    async def test_another_one_keeps_what_is_looked_at(self, api: "Api") -> None:
        await sign_in(api)
        page = (await look(api, find="firma")).text
        assert 'href="/partner?find=firma&amp;page=1&amp;language=fr"' in page


@pytest.fixture
async def without_database(clock: HandClock) -> AsyncIterator[httpx.AsyncClient]:
    parts = Parts(make_settings("postgresql:///nowhere?host=/nowhere"), clock)
    transport = httpx.ASGITransport(create_app(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


async def test_without_the_database_there_is_a_page_that_says_so(without_database: httpx.AsyncClient) -> None:
    without_database.cookies.set("consentflow-partner", "a-key", path="/partner")
    answer = await without_database.get("/partner?language=en")
    assert answer.status_code == 503
    assert "The database cannot be reached" in answer.text
    assert answer.headers["cache-control"] == "no-store"
