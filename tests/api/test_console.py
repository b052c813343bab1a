"""The privacy officers' console over HTTP: who comes in, what it shows and notes, what its forms do."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import asyncpg
import httpx
import pytest

from consentflow.domain.letters import Language
from consentflow.domain.sign_in import SESSION_IDLE, SESSION_VALIDITY, Door
from consentflow.mail.reading import read_frozen
from consentflow.operations.officers import OfficerRole
from tests.api.signing_in import ANA, form_token, sign_in
from tests.conftest import HandClock

if TYPE_CHECKING:
    from tests.api.conftest import Api, Json

OFFICER, COLLEAGUE = "dora@controller.example", "ben@controller.example"
LEA = "lea@firma.example"
REASON = "The interests of the person who registered you prevail."


@dataclass
class Console:
    """An officer's browser."""

    api: "Api"
    client: httpx.AsyncClient

    async def look(self, path: str, status: int = 200) -> str:
        """The text of a page."""
        answer = await self.client.get(path)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.text

    async def send(self, path: str, status: int = 303, /, **fields: str) -> httpx.Response:
        """Sends a form, as a page of this session would."""
        token = form_token(await self.client.get("/console/requests/new"))
        answer = await self.client.post(path, data={"csrf": token, **fields})
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer

    async def find(self, text: str) -> str:
        """Where a search leads."""
        return (await self.send("/console/search", text=text)).headers["location"]

    async def ask(self, email: str = LEA, **fields: str) -> str:
        """Enters a request whose identity was shown; returns its path."""
        answer = await self.send("/console/requests", email=email, **fields)
        path = str(answer.headers["location"])
        await self.send(f"{path}/identity", identity_reason="by telephone")
        return path

    async def letter(self, path: str, **fields: str) -> dict[str, str]:
        """Looks at the letter of a decision; returns what the button would send."""
        page = (await self.send(f"{path}/preview", 200, **fields)).text
        form = page.partition(f'action="{path}/decision"')[2].partition("</form>")[0]
        return {name: value for name, value in re.findall(r'name="(\w+)" value="([^"]*)"', form) if name != "csrf"}


async def browser(api: "Api") -> httpx.AsyncClient:
    transport = api.client._transport  # noqa: SLF001 - the same application
    return httpx.AsyncClient(transport=transport, base_url="http://testserver")


async def signed_in(api: "Api", address: str, role: OfficerRole = OfficerRole.OFFICER) -> Console:
    await api.parts.officers.add(address, role, Language.ENGLISH)
    answer = await sign_in(api, address, "console", language="en")
    client = await browser(api)
    client.cookies.update(api.client.cookies)
    api.client.cookies.clear()
    assert answer.headers["location"] == "/console"
    return Console(api, client)


@pytest.fixture
async def console(api: "Api") -> AsyncIterator[Console]:
    """An officer, and a lead with its mail."""
    assert (await api.register()).status_code == 202
    await api.mail_leaves()
    console = await signed_in(api, OFFICER)
    async with console.client:
        yield console


@pytest.fixture
async def colleague(api: "Api", console: Console) -> AsyncIterator[Console]:  # noqa: ARG001 - signs in first
    other = await signed_in(api, COLLEAGUE, OfficerRole.ADMIN)
    async with other.client:
        yield other


async def subject_of_lea(api: "Api") -> str:
    (row,) = await api.rows("registrations WHERE registration_id = 'r-1'", "subject")
    return str(row["subject"])


async def paths(api: "Api", request: str) -> list[str]:
    """Every page there is to look at."""
    person = f"/console/people/{await subject_of_lea(api)}"
    return [
        "/console",
        "/console/requests",
        "/console/requests?show=closed",
        "/console/requests/new",
        request,
        "/console/registrations/r-1",
        "/console/companies/firma.example",
        person,
        f"{person}/erase",
        f"{person}/evidence",
        f"{person}/receipts",
        "/console/suppressions",
        "/console/acts",
        "/console/ledger",
        "/console/officers",
    ]


async def forms(api: "Api", request: str) -> list[str]:
    """Every path that a form of the console is sent to."""
    person = f"/console/people/{await subject_of_lea(api)}"
    acts = ("preview", "decision", "extension", "pause", "resume", "identity")
    return [
        "/console/search",
        "/console/language",
        "/console/requests",
        *(f"{request}/{act}" for act in acts),
        f"{person}/erase",
        f"{person}/access",
        "/console/suppressions",
        "/console/ledger/verify",
    ]


async def seen(api: "Api") -> list[tuple[str, str]]:
    """What was looked at, and by whom, in order."""
    rows = await api.rows("ledger WHERE event = 'viewed' ORDER BY entry_id", "detail")
    return [(row["detail"]["actor"], row["detail"]["what"]) for row in rows]


async def posted(api: "Api", purpose: str) -> list[str]:
    """The texts of the mails of that purpose."""
    rows = await api.rows(f"mails WHERE purpose = '{purpose}' ORDER BY frozen_at", "content")
    return [read_frozen(row["content"]).text for row in rows]


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

    async def test_the_database_may_be_away(self, api: "Api", console: Console, postgres_url: str) -> None:
        name = (await api.rows("pg_database WHERE datname = current_database()", "datname"))[0]["datname"]
        administrator = await asyncpg.connect(postgres_url.format(database="postgres"))
        try:
            await administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
            )
            await console.look("/console", 503)
        finally:
            await administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await administrator.close()
        await console.look("/console")


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
        for path in ("registrations/none", "requests/sr-none", "people/s-1", "companies/x?after=!", "acts?since=soon"):
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


class TestRequests:
    async def test_the_clock_counts_from_the_day_of_receipt(self, console: Console) -> None:
        page = await console.look(await console.ask(received_on="2026-10-31"))
        assert "Monday, 30 November 2026" in page
        assert "due in 8 days, 6 of them working days" in page

    async def test_a_deadline_on_a_holiday_moves_to_a_working_day(self, console: Console) -> None:
        page = await console.look(await console.ask(received_on="2026-09-03"))
        assert "Saturday, 3 October 2026" in page
        assert "Monday, 5 October 2026" in page
        assert "moved to a working day" in page

    @pytest.mark.parametrize("wrong", [{"email": "lea@"}, {"received_on": "2027-01-01"}, {"received_on": "soon"}])
    async def test_what_is_wrong_is_marked_and_what_was_typed_stays(self, console: Console, wrong: "Json") -> None:
        given = {"email": LEA, "message": "whence?", **wrong}
        page = (await console.send("/console/requests", 422, **given)).text
        assert 'aria-invalid="true"' in page
        assert "whence?" in page

    async def test_the_letter_leaves_exactly_as_it_was_looked_at(self, api: "Api", console: Console) -> None:
        request = await console.ask()
        button = await console.letter(request, choice="partly:partner", reason=REASON, balancing="Weighed.")
        looked_at = (await console.send(f"{request}/preview", 200, choice="partly:partner", reason=REASON)).text
        assert await posted(api, "source_decision") == []
        await console.send(f"{request}/decision", **button)
        (letter,) = await posted(api, "source_decision")
        assert REASON in letter
        assert "p-77" in letter
        assert ANA not in letter
        for line in letter.splitlines():
            assert line.strip() in looked_at.replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">")
        page = await console.look(request)
        for told in ("Partly disclosed", OFFICER, REASON, "Weighed."):
            assert told in page

    async def test_a_letter_that_would_read_differently_by_now_is_shown_again(
        self, api: "Api", console: Console
    ) -> None:
        request = await console.ask()
        button = await console.letter(request, choice="disclose")
        await api.register("r-2", email=LEA, partner_id="p-77", registered_by="max@partner.example")
        again = await console.send(f"{request}/decision", 409, **button)
        assert "What is known has changed" in again.text
        assert "max@partner.example" in again.text
        assert await posted(api, "source_decision") == []
        await console.send(f"{request}/decision", **await console.letter(request, choice="disclose"))
        (letter,) = await posted(api, "source_decision")
        assert "max@partner.example" in letter

    async def test_of_two_officers_at_once_one_decides_and_the_other_is_told(
        self, api: "Api", console: Console, colleague: Console
    ) -> None:
        request = await console.ask()
        buttons = [await each.letter(request, choice="disclose") for each in (console, colleague)]
        tokens = [form_token(await each.client.get("/console")) for each in (console, colleague)]
        answers = await asyncio.gather(
            *(
                each.client.post(f"{request}/decision", data={"csrf": token, **button})
                for each, token, button in zip((console, colleague), tokens, buttons, strict=True)
            )
        )
        assert sorted(answer.status_code for answer in answers) == [303, 409]
        (first,) = (index for index, answer in enumerate(answers) if answer.status_code == 303)
        told = answers[1 - first].text
        assert "Somebody has decided this request meanwhile" in told
        assert (OFFICER, COLLEAGUE)[first] in told
        assert "Disclosed" in told
        assert len(await posted(api, "source_decision")) == 1

    @pytest.mark.parametrize("fields", [{}, {"choice": "refuse"}, {"choice": "nonsense"}, {"choice": "partly:all"}])
    async def test_an_incomplete_decision_is_asked_for_again(self, console: Console, fields: "Json") -> None:
        request = await console.ask()
        page = (await console.send(f"{request}/preview", 422, balancing="Weighed.", **fields)).text
        assert "Something is missing" in page
        assert "Weighed." in page

    async def test_nothing_is_disclosed_before_it_is_known_who_asks(self, console: Console) -> None:
        request = (await console.send("/console/requests", email=LEA)).headers["location"]
        page = await console.look(request)
        assert 'value="disclose"' not in page
        assert "Nothing can be disclosed before" in page
        assert (
            "Nothing can be disclosed before" in (await console.send(f"{request}/preview", 409, choice="disclose")).text
        )

    async def test_is_extended_once_and_the_person_is_told_why(self, api: "Api", console: Console) -> None:
        request = await console.ask(country="FR")
        await console.send(f"{request}/extension", 422, extension_reason=" ")
        await console.send(f"{request}/extension", extension_reason="Nous devons demander à deux partenaires.")
        (letter,) = await posted(api, "source_extension")
        assert "Nous devons demander" in letter
        assert "Monday, 22 February 2027" in await console.look(request)
        again = await console.send(f"{request}/extension", 409, extension_reason="again")
        assert "has been extended already" in again.text

    async def test_is_paused_and_goes_on(self, console: Console) -> None:
        request = await console.ask()
        await console.send(f"{request}/pause", 422, pause_reason="who?", pause_until="2027-05-01")
        await console.send(f"{request}/pause", pause_reason="who?", pause_until="2026-12-01")
        assert "Paused until" in await console.look(request)
        await console.send(f"{request}/resume")
        assert "Paused until" not in await console.look(request)
        assert "not standing still" in (await console.send(f"{request}/resume", 409)).text

    async def test_the_day_begins_with_what_is_most_urgent(self, console: Console, clock: HandClock) -> None:
        clock.at = datetime.fromisoformat("2026-11-20T09:00:00Z")
        ids = {}
        for name, day in (("overdue", "2026-10-16"), ("soon", "2026-10-26"), ("review", "2026-11-19")):
            ids[name] = (await console.ask(f"{name}@firma.example", received_on=day)).rpartition("/")[2]
        waiting = await console.send("/console/requests", email="waits@firma.example")
        ids["requester"] = waiting.headers["location"].rpartition("/")[2]
        await acknowledged(console)
        page = await console.look("/console")
        for name, request_id in ids.items():
            section = page.partition(f'id="{name}"')[2].partition("</section>")[0]
            assert re.findall(r"/console/requests/(sr-\w+)", section) == [request_id]
        assert "4 days over" in page
        assert "due in 6 days, 4 of them working days" in page
        assert page.index(ids["overdue"]) < page.index(ids["soon"]) < page.index(ids["review"])


async def acknowledged(console: Console) -> None:
    """What the requests' workflows do first."""
    for row in await console.api.rows("source_requests", "request_id"):
        await console.api.parts.source_clock.advance(row["request_id"])


class TestPeople:
    async def test_are_erased_by_a_button_that_says_what_goes_and_what_stays(
        self, api: "Api", console: Console
    ) -> None:
        person = await console.find(LEA)
        page = await console.look(f"{person}/erase")
        assert "What goes" in page
        assert "What stays" in page
        assert await api.rows(f"contacts WHERE email = '{LEA}'")
        done = await console.send(f"{person}/erase", 200)
        assert "The person is erased" in done.text
        assert not await api.rows(f"contacts WHERE email = '{LEA}'")
        assert LEA not in await api.everything_stored(without="outbox")
        page = await console.look(person)
        assert "Person without contact data" in page
        assert "Erased" in page
        assert "Its text is not kept any more" in await console.look("/console/registrations/r-1")

    async def test_with_an_open_request_the_officer_is_warned_before_erasing(self, console: Console) -> None:
        request = await console.ask()
        page = await console.look(f"{await console.find(LEA)}/erase")
        assert "It will end without an answer" in page
        assert request in page

    async def test_get_all_that_is_held_as_a_file_or_on_paper(self, api: "Api", console: Console) -> None:
        person = await console.find(LEA)
        file = await console.send(f"{person}/access", 200, form="file")
        assert file.headers["content-disposition"].startswith("attachment")
        assert LEA in str(file.json())
        paper = await console.send(f"{person}/access", 200, form="paper")
        assert LEA in paper.text
        assert "style-src 'sha256-" in paper.headers["content-security-policy"]
        assert len(await api.rows("ledger WHERE detail ->> 'act' = 'exported'")) == 2

    async def test_show_every_role_they_have(self, api: "Api", console: Console) -> None:
        person = await console.find(ANA)
        page = await console.look(person)
        assert "Registrations that this person made" in page
        assert "/console/registrations/r-1" in page
        for number in range(2, 54):
            await api.register(f"r-{number}", email=f"p{number}@firma.example", country="US")
        (further,) = re.findall(
            r'href="(/console/people/[^"]+/further/made\?after=[\w-]+)"', await console.look(person)
        )
        assert "/console/registrations/r-1" in await console.look(further)
        await console.look(f"{person}/further/mails?after={further.partition('after=')[2]}", 404)


class TestRecords:
    async def test_who_is_suppressed_is_looked_up_without_naming_anybody(self, api: "Api", console: Console) -> None:
        assert "is not suppressed" in (await console.send("/console/suppressions", 200, email=LEA)).text
        await api.happened("contact.objected")
        found = (await console.send("/console/suppressions", 200, email=LEA.upper())).text
        assert "This address is suppressed" in found
        assert LEA not in found.lower()
        listed = await console.look("/console/suppressions")
        assert await subject_of_lea(api) in listed
        assert "Objected" in listed
        assert "not an e-mail address" in (await console.send("/console/suppressions", 422, email="lea")).text

    async def test_acts_are_listed_by_who_what_whose_and_when(self, api: "Api", console: Console) -> None:
        await console.look(await console.ask())
        subject = await subject_of_lea(api)
        officer = (await api.rows(f"officers WHERE email = '{OFFICER}'", "subject"))[0]["subject"]
        for query, some in (
            ("act=viewed", True),
            ("act=erased", False),
            (f"subject={subject}", True),
            (f"actor={officer}&act=decided", True),
            ("actor=key+nobody", False),
            ("since=2026-11-22&until=2026-11-22", True),
            ("until=2026-11-21", False),
        ):
            listed = (await console.look(f"/console/acts?{query}")).partition("<tbody>")[2]
            assert (query, bool(listed)) == (query, some)

    async def test_a_tampered_entry_is_named(
        self, api: "Api", console: Console, clock: HandClock, database_url: str
    ) -> None:
        assert "Nobody has looked" in await console.look("/console/ledger")
        await api.parts.ledger.checkpoint()
        await api.parts.ledger.verify()
        assert "The ledger is intact" in await console.look("/console/ledger")
        assert "Intact:" in (await console.send("/console/ledger/verify", 200, who=LEA)).text
        subject = await subject_of_lea(api)
        owner = await asyncpg.connect(database_url)
        await owner.execute("SET session_replication_role = replica")
        number = await owner.fetchval(
            "UPDATE ledger SET at = at - interval '1 day' WHERE subject = $1 AND event = 'asked' RETURNING entry_id",
            subject,
        )
        await owner.close()
        told = (await console.send("/console/ledger/verify", 200, who=subject)).text
        assert f"Entry {number}: it says something else" in told
        clock.pass_time(minutes=1)
        await api.parts.ledger.verify()
        page = await console.look("/console/ledger")
        assert "was tampered with" in page
        assert re.search(rf"Entry {number}:\s+it says something else", page)
        assert f"Tampered with: entry {number}" in await console.look("/console")

    async def test_of_a_stranger_the_ledger_says_nothing(self, console: Console) -> None:
        assert "says nothing" in (await console.send("/console/ledger/verify", 404, who="x@nowhere.example")).text
