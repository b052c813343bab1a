"""The privacy officers' console over HTTP: who comes in, what it shows, what it notes, what it finds."""

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest

from consentflow.api.app import create_app
from consentflow.domain.sign_in import SESSION_IDLE, SESSION_VALIDITY, Door
from consentflow.runtime import Parts
from tests.api.officers import LEA, OFFICER, Console, browser, forms, paths, seen, subject_of_lea
from tests.api.signing_in import ANA, form_token, sign_in
from tests.conftest import HandClock, make_settings

if TYPE_CHECKING:
    from tests.api.conftest import Api


class TestTheDoor:
    async def test_without_a_session_every_page_leads_to_the_sign_in(self, api: "Api", console: Console) -> None:
        request = await console.ask()
        async with await browser(api) as stranger:
            for path in await paths(api, request):
                answer = await stranger.get(path)
                assert (path, answer.status_code) == (path, 303)
                assert answer.headers["location"].startswith("/console/sign-in")
            for path in await forms(api, request):
                assert (path, (await stranger.post(path, data={"csrf": "x"})).status_code) == (path, 401)

    async def test_a_partner_s_session_opens_nothing(self, api: "Api", console: Console) -> None:
        request = await console.ask()
        await sign_in(api, ANA, "partner")
        key = next(iter(api.client.cookies.values()))
        async with await browser(api) as ana:
            ana.cookies.set("consentflow-console", key)
            for path in await paths(api, request):
                assert (await ana.get(path)).status_code == 303

    async def test_a_form_of_another_session_does_nothing(
        self, api: "Api", console: Console, colleague: Console
    ) -> None:
        request = await console.ask()
        foreign = form_token(await colleague.client.get("/console/requests/new"))
        before = await api.everything_stored(without="sessions")
        for path in await forms(api, request):
            for token in ("", foreign):
                answer = await console.client.post(path, data={"csrf": token, "text": LEA, "reason": "x"})
                assert (path, answer.status_code) == (path, 403)
        assert await api.everything_stored(without="sessions") == before

    @pytest.mark.parametrize("rest", [SESSION_IDLE[Door.CONSOLE], SESSION_VALIDITY[Door.CONSOLE]])
    async def test_a_session_ends_by_itself(self, console: Console, clock: HandClock, rest: timedelta) -> None:
        token = form_token(await console.client.get("/console"))
        clock.pass_time(seconds=rest.total_seconds())
        assert "because=ended" in (await console.client.get("/console")).headers["location"]
        assert (await console.client.post("/console/search", data={"csrf": token, "text": LEA})).status_code == 401

    async def test_an_officer_who_is_none_any_more_is_out_at_once(self, api: "Api", console: Console) -> None:
        assert await api.parts.officers.remove(OFFICER)
        assert (await console.client.get("/console")).status_code == 303

    async def test_nothing_is_kept_framed_scripted_or_loaded_from_elsewhere(self, api: "Api", console: Console) -> None:
        for path in await paths(api, await console.ask()):
            answer = await console.client.get(path)
            assert answer.headers["cache-control"] == "no-store"
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert not re.search(r"<script|\son\w+=|\sstyle=", answer.text)

    async def test_who_the_officers_are_is_for_administrators(self, console: Console, colleague: Console) -> None:
        await console.look("/console/officers", 404)
        assert OFFICER in await colleague.look("/console/officers")

    async def test_a_database_that_is_away_is_said_to_be(
        self, api: "Api", console: Console, database_url: str, tmp_path: Path
    ) -> None:
        owner = await asyncpg.connect(database_url)
        await owner.execute("ALTER TABLE source_requests RENAME TO source_requests_away")
        assert "The database cannot be reached" in await console.look("/console", 503)
        await owner.execute("ALTER TABLE source_requests_away RENAME TO source_requests")
        await owner.close()
        await console.look("/console")
        nowhere = make_settings(f"postgresql:///x?host={tmp_path}&user=postgres")
        app = create_app(Parts(nowhere, api.parts.clock))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client:
            client.cookies.set("consentflow-console", "a-key", path="/console")
            answer = await client.get("/console")
        assert (answer.status_code, answer.headers["cache-control"]) == (503, "no-store")
        assert "The database cannot be reached" in answer.text


class TestLooking:
    async def test_changes_nothing_but_that_the_look_is_noted(
        self, api: "Api", console: Console, colleague: Console
    ) -> None:
        request = await console.ask()
        before = await api.everything_stored(without="ledger")
        for path in await paths(api, request):
            assert (await colleague.client.get(path)).status_code == 200
            assert (await colleague.client.head(path)).status_code == 200
        assert await api.everything_stored(without="ledger") == before

    async def test_is_noted_wherever_personal_data_shows(self, api: "Api", console: Console, clock: HandClock) -> None:
        request = await console.ask()
        officer = (await api.rows(f"officers WHERE email = '{OFFICER}'", "subject"))[0]["subject"]
        clock.pass_time(minutes=1)
        noted = len(await seen(api))
        for path, what in (
            (f"/console/people/{await subject_of_lea(api)}", "person"),
            (f"/console/people/{await subject_of_lea(api)}/evidence", "evidence"),
            (f"/console/people/{await subject_of_lea(api)}/receipts", "receipts"),
            ("/console/registrations/r-1", "registration r-1"),
        ):
            await console.look(path)
            assert (await seen(api))[noted:] == [(officer, what)]
            noted += 1
        clock.pass_time(minutes=10)
        await console.look("/console/registrations/r-1")
        assert len(await seen(api)) == noted, "again within the hour counts once"
        for _ in range(6):
            clock.pass_time(minutes=15)
            await console.look("/console")
        await console.look(request)
        assert (await seen(api))[noted:] == [(officer, "source_request")]
        listed = await console.look("/console/acts?act=viewed")
        assert "registration r-1" in listed
        assert OFFICER in listed

    async def test_no_address_or_name_ever_stands_in_a_url(self, api: "Api", console: Console) -> None:
        request = await console.ask(name="Lea Muster", message="whence?")
        leads = [await console.find(LEA), await console.find(ANA), request]
        for path in await paths(api, request):
            page = await console.look(path, 404 if path.endswith("officers") else 200)
            leads += re.findall(r'(?:href|action)="([^"]*)"', page)
        for lead in leads:
            assert "@" not in lead.replace("mailto:", "").replace("@controller.example", ""), lead
            assert "Muster" not in lead

    async def test_explains_why_a_mail_left_without_giving_its_links_away(self, api: "Api", console: Console) -> None:
        page = await console.look("/console/registrations/r-1")
        for told in ("asked for its consent at once", "double_opt_in_region", "Lea Muster", LEA, ANA, "Taken by"):
            assert told in page
        (mail,) = await api.rows("mails WHERE registration_id = 'r-1'", "content")
        written = mail["content"].decode().replace("=\r\n", "")
        tokens = set(re.findall(r"/(?:confirm|unsubscribe|preferences)/([\w-]{22})", written))
        assert tokens
        assert "/confirm/…" in page
        assert not [token for token in tokens if token in page]

    async def test_speaks_the_language_that_was_chosen(self, console: Console) -> None:
        assert '<html lang="en">' in await console.look("/console")
        await console.send("/console/language", language="de")
        page = await console.look("/console")
        assert '<html lang="de">' in page
        assert "Was heute ansteht" in page

    async def test_says_kindly_what_is_not_there(self, console: Console) -> None:
        for path in (
            "nowhere",
            "registrations/none",
            "requests/sr-none",
            "people/s-1",
            "companies/x?after=!",
            "acts?since=soon",
        ):
            assert "There is no such page" in await console.look(f"/console/{path}", 404)


class TestFinding:
    @pytest.mark.parametrize("spelling", [LEA, f"  {LEA} ", "lea@FIRMA.example"])
    async def test_an_address_leads_to_its_person(self, api: "Api", console: Console, spelling: str) -> None:
        assert await console.find(spelling) == f"/console/people/{await subject_of_lea(api)}"

    async def test_an_id_a_domain_or_a_pseudonym_leads_there_too(self, api: "Api", console: Console) -> None:
        request = await console.ask()
        assert await console.find("r-1") == "/console/registrations/r-1"
        assert await console.find(request.rpartition("/")[2]) == request
        assert await console.find("www.Firma.example") == "/console/companies/firma.example"
        subject = await subject_of_lea(api)
        assert await console.find(subject) == f"/console/people/{subject}"

    async def test_of_a_stranger_nothing_is_held_and_nothing_noted(self, api: "Api", console: Console) -> None:
        before = len(await seen(api))
        assert "We hold nothing" in await console.look(await console.find("nobody@nowhere.example"))
        assert len(await seen(api)) == before

    async def test_what_is_unknown_or_no_address_is_said(self, console: Console) -> None:
        assert "r-none" in (await console.send("/console/search", 404, text="r-none")).text
        assert "is not an e-mail address" in (await console.send("/console/search", 422, text="lea@")).text

    async def test_long_lists_go_on(self, api: "Api", console: Console) -> None:
        for number in range(2, 60):
            await api.register(f"r-{number}", email=f"p{number}@firma.example", country="US")
        first = await console.look("/console/companies/firma.example")
        (further,) = re.findall(r'href="(\?after=[\w-]+)"', first)
        second = await console.look(f"/console/companies/firma.example{further}")
        shown = [re.findall(r"/console/registrations/(r-\d+)", page) for page in (first, second)]
        assert [len(each) for each in shown] == [50, 9]
        assert set(shown[0]) | set(shown[1]) == {f"r-{number}" for number in range(1, 60)}
