"""People and records at the console: everything held, erasing, suppressions, acts, the ledger."""

import re
from typing import TYPE_CHECKING

import asyncpg

from tests.api.officers import LEA, OFFICER, Console, subject_of_lea
from tests.api.signing_in import ANA
from tests.conftest import HandClock

if TYPE_CHECKING:
    from tests.api.conftest import Api


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
