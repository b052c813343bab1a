"""Signing in with a mailed link: no oracle, no trap, no way in but one's own."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from asyncpg.connection import LoggedQuery

from consentflow.api.app import create_app
from consentflow.domain.letters import Language
from consentflow.domain.sign_in import LINK_VALIDITY, MOST_LINKS, SESSION_IDLE, SESSION_VALIDITY, Door
from consentflow.operations.officers import OfficerRole
from consentflow.operations.posting import Outcome
from consentflow.runtime import Parts
from consentflow.storage.pool import Connection, Database, write_now
from tests.api.signing_in import ANA, ask, form_token, link_for, link_in, mailed, sign_in
from tests.conftest import HandClock, make_settings

if TYPE_CHECKING:
    from tests.api.conftest import Api

STRANGER = "nobody@nowhere.example"
OFFICER = "dpo@controller.example"
COOKIE = {door: f"consentflow-{door}" for door in Door}
CROSS_SITE = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Origin": "https://evil.example"},
    {"Origin": "http://testserver.evil.example"},
)


@pytest.fixture(autouse=True)
async def people(api: "Api") -> None:
    """Ana, who has registered a lead, and an officer."""
    assert (await api.register()).status_code == 202
    await api.parts.officers.add(OFFICER, OfficerRole.OFFICER, Language.ENGLISH)


@pytest.fixture
async def other(api: "Api") -> AsyncIterator[httpx.AsyncClient]:
    """Another browser."""
    async with httpx.AsyncClient(
        transport=api.client._transport,  # noqa: SLF001 - the same application
        base_url="http://testserver",
    ) as client:
        yield client


async def entries(api: "Api", event: str) -> list[Any]:
    return [row["detail"] for row in await api.rows(f"ledger WHERE event = '{event}' ORDER BY entry_id")]


class TestAsking:
    @pytest.mark.parametrize("door", Door)
    async def test_says_the_same_of_every_address(self, api: "Api", door: Door) -> None:
        answers = [await ask(api, address, door) for address in (ANA, OFFICER, STRANGER)]
        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.text for answer in answers}) == 1
        assert len({tuple(answer.headers.items()) for answer in answers}) == 1

    async def test_does_the_same_work_for_every_address(self, api: "Api", monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[str] = []
        transaction = Database.transaction

        @asynccontextmanager
        async def overheard(database: Database) -> AsyncIterator[Connection]:
            async with transaction(database) as connection:
                connection.add_query_logger(note)
                yield connection
                await write_now(connection)
                connection.remove_query_logger(note)

        def note(record: LoggedQuery) -> None:
            asked.append(record.query)

        work = []
        for address in (ANA, OFFICER, STRANGER, "lea@firma.example"):
            before = await api.counts()
            with monkeypatch.context() as patched:
                patched.setattr(Database, "transaction", overheard)
                await ask(api, address)
            after = await api.counts()
            work.append((tuple(asked), {name: after[name] - before[name] for name in after}))
            asked.clear()
        assert [each for each in work if each != work[0]] == []
        statements, rows = work[0]
        assert len(statements) == 2
        assert {name: more for name, more in rows.items() if more} == {"sign_ins": 1, "outbox": 1}

    async def test_puts_nothing_of_the_address_into_temporal(self, api: "Api") -> None:
        await ask(api, ANA)
        (row,) = await api.rows("outbox WHERE topic = 'sign_in.asked'")
        assert list(row["payload"]) == ["sign_in_id"]

    @pytest.mark.parametrize(("address", "door"), [(STRANGER, "partner"), (ANA, "console"), (OFFICER, "partner")])
    async def test_mails_nothing_to_who_may_not_enter_and_forgets_the_address(
        self, api: "Api", address: str, door: str
    ) -> None:
        await ask(api, address, door)
        assert await mailed(api) == []
        assert await api.rows("sign_ins") == []
        assert await api.rows("tokens WHERE purpose = 'sign_in'") == []

    async def test_mails_a_lead_nothing_that_was_only_registered(self, api: "Api") -> None:
        await ask(api, "lea@firma.example")
        assert await mailed(api) == []

    async def test_mails_a_link_to_the_address_on_record_whatever_its_spelling(self, api: "Api") -> None:
        await ask(api, " ANA@Partner.example ")
        (mail,) = await mailed(api)
        assert mail.mail is not None
        assert mail.mail.envelope_to == ANA
        assert await api.rows("sign_ins") == []

    async def test_mails_in_the_language_of_the_page(self, api: "Api") -> None:
        await ask(api, ANA, language="pt")
        (mail,) = await mailed(api)
        assert mail.mail is not None
        assert mail.mail.language is Language.PORTUGUESE

    async def test_is_answered_once_however_often_the_worker_tries(self, api: "Api") -> None:
        await ask(api, ANA)
        (row,) = await api.rows("sign_ins")
        first = await api.parts.sessions.answer(row["sign_in_id"])
        assert first is not None
        assert await api.parts.sessions.answer(row["sign_in_id"]) == first
        assert len(await api.rows("mails WHERE purpose = 'sign_in'")) == 1

    async def test_is_not_answered_any_more_when_nobody_waits(self, api: "Api", clock: HandClock) -> None:
        await ask(api, ANA)
        clock.at += LINK_VALIDITY
        assert await mailed(api) == []
        assert await api.rows("sign_ins") == []

    async def test_a_link_that_would_come_too_late_does_not_leave(self, api: "Api", clock: HandClock) -> None:
        await ask(api, ANA)
        (row,) = await api.rows("sign_ins")
        mail_id = await api.parts.sessions.answer(row["sign_in_id"])
        assert mail_id is not None
        clock.at += LINK_VALIDITY
        assert await api.parts.posting.begin(mail_id) is Outcome.DROPPED

    async def test_mails_only_so_many_links_an_hour_and_does_not_say_so(self, api: "Api", clock: HandClock) -> None:
        answers = [await ask(api, ANA) for _ in range(MOST_LINKS + 3)]
        assert len({answer.text for answer in answers}) == 1
        assert len(await mailed(api)) == MOST_LINKS
        await ask(api, OFFICER, "console")
        assert len(await mailed(api)) == 1
        clock.pass_time(hours=1, seconds=1)
        await ask(api, ANA)
        assert len(await mailed(api)) == 1

    @pytest.mark.parametrize("address", ["", "ana", "ana@", "a@b@c.example", "ana@partner.example\r\nBcc: x@y.example"])
    async def test_says_plainly_what_is_no_address(self, api: "Api", address: str) -> None:
        answer = await ask(api, address, language="en")
        assert answer.status_code == 422
        assert "This is not an e-mail address we can write to." in answer.text
        assert 'aria-invalid="true"' in answer.text
        assert await api.rows("sign_ins") == []

    async def test_takes_no_file_for_an_address(self, api: "Api") -> None:
        answer = await api.client.post("/partner/sign-in", files={"email": ("a.txt", b"ana@partner.example")})
        assert answer.status_code == 400

    async def test_survives_half_a_character(self, api: "Api") -> None:
        body = b'--x\r\nContent-Disposition: form-data; name="email"\r\n\r\n+2AA-\r\n--x--\r\n'
        headers = {"Content-Type": "multipart/form-data; boundary=x; charset=utf-7"}
        assert (await api.client.post("/partner/sign-in", content=body, headers=headers)).status_code == 422

    @pytest.mark.parametrize("path", ["/nowhere/sign-in", "/v1/sign-in", "/nowhere/sign-in/x"])
    async def test_there_are_two_doors(self, api: "Api", path: str) -> None:
        assert (await api.client.get(path)).status_code == 404

    async def test_the_bytes_of_the_mail_go_once_it_has_left(self, api: "Api") -> None:
        link = await link_for(api, ANA)
        assert link.rpartition("/")[2] not in await api.everything_stored()


class TestTheLink:
    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_changes_nothing_by_being_looked_at(self, api: "Api", method: str) -> None:
        link = await link_for(api, ANA)
        stored = await api.everything_stored()
        for _ in range(3):
            answer = await api.client.request(method, link)
            assert answer.status_code == 200
            assert "set-cookie" not in answer.headers
        assert await api.everything_stored() == stored

    async def test_lets_in_when_the_button_is_pressed(self, api: "Api") -> None:
        answer = await sign_in(api)
        assert answer.headers["location"] == "/partner"
        page = await api.client.get("/partner")
        assert page.status_code == 200
        assert ANA in page.text
        assert await entries(api, "signed_in") == [{"door": "partner"}]

    async def test_works_once(self, api: "Api", other: httpx.AsyncClient) -> None:
        link = await link_for(api, ANA)
        assert (await api.client.post(link)).status_code == 303
        again = await other.post(link)
        assert again.status_code == 404
        assert "set-cookie" not in again.headers
        assert (await other.get(link)).status_code == 404
        assert len(await api.rows("sessions")) == 1

    async def test_of_many_presses_at_once_one_lets_in(self, api: "Api") -> None:
        link = await link_for(api, ANA)
        answers = await asyncio.gather(*(api.client.post(link) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [303, *[404] * 7]

    async def test_expires(self, api: "Api", clock: HandClock) -> None:
        link = await link_for(api, ANA)
        clock.at += LINK_VALIDITY
        assert (await api.client.get(link)).status_code == 404
        assert (await api.client.post(link)).status_code == 404
        assert await api.rows("sessions") == []

    async def test_opens_no_other_door(self, api: "Api") -> None:
        await api.parts.officers.add(ANA, OfficerRole.OFFICER, Language.ENGLISH)
        link = await link_for(api, ANA)
        assert (await api.client.post(link.replace("/partner/", "/console/"))).status_code == 404
        assert (await api.client.post(link)).status_code == 303

    async def test_of_another_purpose_lets_nobody_in(self, api: "Api") -> None:
        links = await api.mail_leaves()
        token = links["confirm"].rpartition("/")[2]
        assert (await api.client.post(f"/partner/sign-in/{token}")).status_code == 404

    async def test_lets_nobody_in_who_was_removed_meanwhile(self, api: "Api") -> None:
        link = await link_for(api, OFFICER, "console")
        await api.parts.officers.remove(OFFICER)
        assert (await api.client.post(link)).status_code == 404

    @pytest.mark.parametrize("headers", CROSS_SITE)
    async def test_is_not_pressed_by_another_site(self, api: "Api", headers: dict[str, str]) -> None:
        link = await link_for(api, ANA)
        assert (await api.client.post(link, headers=headers)).status_code == 403
        assert await api.rows("sessions") == []
        assert (await api.client.post(link, headers={"Sec-Fetch-Site": "same-origin"})).status_code == 303

    async def test_does_not_take_a_session_over_that_somebody_else_made(self, api: "Api") -> None:
        api.client.cookies.set(COOKIE[Door.PARTNER], "chosen-by-an-attacker", path="/partner")
        answer = await sign_in(api)
        assert "chosen-by-an-attacker" not in answer.headers["set-cookie"]
        (row,) = await api.rows("sessions")
        assert row["session_sha256"].hex() != "chosen-by-an-attacker"

    async def test_ends_the_session_the_browser_had(self, api: "Api", other: httpx.AsyncClient) -> None:
        await sign_in(api)
        other.cookies = httpx.Cookies(api.client.cookies)
        assert (await other.get("/partner")).status_code == 200
        await sign_in(api)
        assert (await other.get("/partner")).status_code == 303
        assert len(await api.rows("sessions")) == 1


class TestTheSession:
    async def test_is_kept_by_its_hash_alone(self, api: "Api") -> None:
        await sign_in(api)
        key = api.client.cookies[COOKIE[Door.PARTNER]]
        stored = await api.everything_stored()
        assert key not in stored
        assert key.encode().hex() not in stored
        assert ANA not in str(await api.rows("sessions"))

    @pytest.mark.parametrize(
        ("door", "address", "same_site"), [("partner", ANA, "lax"), ("console", OFFICER, "strict")]
    )
    async def test_is_out_of_reach_for_scripts_and_other_sites(
        self, api: "Api", door: str, address: str, same_site: str
    ) -> None:
        cookie = (await sign_in(api, address, door)).headers["set-cookie"]
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", f"samesite={same_site}", f"path=/{door}"} <= attributes
        assert f"max-age={int(SESSION_VALIDITY[Door(door)].total_seconds())}" in attributes
        assert not [part for part in attributes if part.startswith("domain")]

    async def test_is_for_encrypted_lines_alone_where_the_service_has_one(
        self, api: "Api", database_url: str, clock: HandClock
    ) -> None:
        link = (await link_for(api, ANA)).replace("http://127.0.0.1:8000", "")
        secure = Parts(make_settings(database_url, public_url="https://consent.controller.example"), clock)
        transport = httpx.ASGITransport(create_app(secure))
        async with httpx.AsyncClient(transport=transport, base_url="https://consent.controller.example") as client:
            answer = await client.post(link)
            assert answer.headers["set-cookie"].startswith("__Secure-consentflow-partner=")
            assert "; Secure" in answer.headers["set-cookie"]
            assert (await client.get("/partner")).status_code == 200
        await secure.database.close()

    async def test_lasts_for_so_long_at_most(self, api: "Api", clock: HandClock) -> None:
        await sign_in(api)
        end = clock.at + SESSION_VALIDITY[Door.PARTNER]
        while clock.at + SESSION_IDLE[Door.PARTNER] / 2 < end:
            clock.at += SESSION_IDLE[Door.PARTNER] / 2
            assert (await api.client.get("/partner")).status_code == 200
        clock.at = end
        assert (await api.client.get("/partner")).status_code == 303

    async def test_ends_when_nobody_uses_it(self, api: "Api", clock: HandClock) -> None:
        await sign_in(api)
        clock.at += SESSION_IDLE[Door.PARTNER]
        assert (await api.client.get("/partner")).status_code == 303

    async def test_that_has_ended_is_said_kindly(self, api: "Api", clock: HandClock) -> None:
        await sign_in(api)
        token = form_token(await api.client.get("/partner"))
        clock.at += SESSION_IDLE[Door.PARTNER]
        sent = await api.client.post("/partner/pause?language=en", data={"csrf": token})
        assert sent.status_code == 401
        assert "What you just sent was not saved." in sent.text
        await sign_in(api)
        clock.at += SESSION_IDLE[Door.PARTNER]
        looked = await api.client.get("/partner?language=en", follow_redirects=True)
        assert looked.url.path == "/partner/sign-in"
        assert "Your session has ended. Please sign in again." in looked.text
        assert COOKIE[Door.PARTNER] not in api.client.cookies

    async def test_nobody_is_told_of_a_session_that_never_was(self, api: "Api") -> None:
        answer = await api.client.get("/partner?language=en", follow_redirects=True)
        assert answer.url.path == "/partner/sign-in"
        assert "session" not in answer.text

    async def test_of_one_door_is_useless_at_the_other(self, api: "Api") -> None:
        await api.parts.officers.add(ANA, OfficerRole.ADMIN, Language.ENGLISH)
        await sign_in(api)
        key = api.client.cookies[COOKIE[Door.PARTNER]]
        api.client.cookies.set(COOKIE[Door.CONSOLE], key, path="/console")
        answer = await api.client.post("/console/sign-out", data={"csrf": api.parts.sessions.form_token(key)})
        assert answer.status_code == 401
        assert len(await api.rows("sessions")) == 1

    @pytest.mark.parametrize("key", ["", "x", "AAAAAAAAAAAAAAAAAAAAAA", "ü", "%00", "a" * 4000])
    async def test_nobody_made_lets_nobody_in(self, api: "Api", key: str) -> None:
        headers = [(b"Cookie", f"{COOKIE[Door.PARTNER]}={key}".encode())]
        assert (await api.client.get("/partner", headers=headers)).status_code == 303

    async def test_ends_with_its_owner_s_right(self, api: "Api") -> None:
        await sign_in(api, OFFICER, "console")
        assert await api.parts.officers.remove(OFFICER)
        assert await api.rows("sessions") == []
        assert not await api.parts.officers.remove(OFFICER)

    async def test_is_noted_as_used_once_a_minute_at_most(self, api: "Api", clock: HandClock) -> None:
        await sign_in(api)
        stored = await api.everything_stored()
        clock.pass_time(seconds=59)
        await api.client.get("/partner")
        assert await api.everything_stored() == stored
        clock.pass_time(seconds=1)
        await api.client.get("/partner")
        (row,) = await api.rows("sessions")
        assert row["last_used_at"] == clock.at


class TestTheForms:
    async def test_are_refused_without_the_session_s_token(self, api: "Api") -> None:
        await sign_in(api)
        token = form_token(await api.client.get("/partner"))
        for forged in (None, "", token[:-1], "0" * 64, token.upper(), "ü"):
            answer = await api.client.post("/partner/sign-out", data={} if forged is None else {"csrf": forged})
            assert answer.status_code == 403
            assert "<form" not in answer.text
        assert (await api.client.get("/partner")).status_code == 200

    async def test_do_not_take_the_token_of_another_session(self, api: "Api") -> None:
        await sign_in(api)
        token = form_token(await api.client.get("/partner"))
        await sign_in(api)
        assert (await api.client.post("/partner/sign-out", data={"csrf": token})).status_code == 403

    @pytest.mark.parametrize("headers", CROSS_SITE)
    async def test_are_refused_from_another_site_whatever_they_hold(self, api: "Api", headers: dict[str, str]) -> None:
        await sign_in(api)
        token = form_token(await api.client.get("/partner"))
        answer = await api.client.post("/partner/sign-out", data={"csrf": token}, headers=headers)
        assert answer.status_code == 403
        assert len(await api.rows("sessions")) == 1

    async def test_sign_out(self, api: "Api", other: httpx.AsyncClient) -> None:
        await sign_in(api)
        other.cookies = httpx.Cookies(api.client.cookies)
        token = form_token(await api.client.get("/partner"))
        answer = await api.client.post("/partner/sign-out", data={"csrf": token, "language": "en"})
        assert answer.status_code == 303
        assert COOKIE[Door.PARTNER] not in api.client.cookies
        assert "You are signed out." in (await api.client.get(answer.headers["location"])).text
        assert (await other.get("/partner")).status_code == 303
        assert await entries(api, "signed_out") == [{"door": "partner", "how": "button"}]

    async def test_sign_out_on_every_device(self, api: "Api", other: httpx.AsyncClient) -> None:
        link = await link_for(api, ANA)
        await other.post(link)
        await sign_in(api)
        assert (await other.get("/partner")).status_code == 200
        token = form_token(await api.client.get("/partner"))
        assert (await api.client.post("/partner/sign-out-everywhere", data={"csrf": token})).status_code == 303
        assert (await other.get("/partner")).status_code == 303
        assert await api.rows("sessions") == []


@pytest.mark.parametrize(
    "path", ["/partner/sign-in", "/console/sign-in", "/partner/sign-in/none", "/partner", "/console"]
)
async def test_every_answer_has_the_headers_of_a_page(api: "Api", path: str) -> None:
    headers = (await api.client.get(path)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert "default-src 'none'" in headers["content-security-policy"]


async def test_a_link_and_a_key_are_new_each_time(api: "Api") -> None:
    await ask(api, ANA)
    await ask(api, ANA)
    links = {link_in(mail) for mail in await mailed(api)}
    assert len(links) == 2
    keys = set()
    for link in links:
        answer = await api.client.post(link)
        keys |= set(re.findall(r"consentflow-partner=([\w-]{22});", answer.headers["set-cookie"]))
    assert len(keys) == 2
