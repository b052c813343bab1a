"""Whoever calls or sends too often is told to wait, and for how long."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from consentflow.api.app import create_app, serving
from consentflow.domain.letters import Language
from consentflow.operations.keys import Role
from consentflow.runtime import Parts
from tests.conftest import make_settings

if TYPE_CHECKING:
    from tests.api.conftest import Api
    from tests.conftest import HandClock

FORMS = ["/source-request", "/partner/sign-in", "/console/sign-in"]
HEADING = {
    "de": "Zu viele Versuche",
    "fr": "Trop de tentatives",
    "it": "Troppi tentativi",
    "en": "Too many attempts",
    "pt": "Demasiadas tentativas",
    "es": "Demasiados intentos",
}


@asynccontextmanager
async def limited(
    api: "Api", clock: "HandClock", *, proxies: str = "127.0.0.1", **limits: str
) -> AsyncIterator[httpx.AsyncClient]:
    """The service with these limits, on a port of its own."""
    url = api.parts.settings.database_url.get_secret_value()
    chosen = {"per_key": "", "forms": ""} | limits
    settings = make_settings(url, limits=chosen, trusted_proxies=proxies)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with serving(create_app(Parts(settings, clock)), listener), httpx.AsyncClient(base_url=url) as client:
            yield client


async def test_a_key_that_calls_too_often_is_told_to_wait_and_others_are_not(api: "Api", clock: "HandClock") -> None:
    async with limited(api, clock, per_key="3/hour") as client:

        async def call(role: Role) -> httpx.Response:
            key = {"Authorization": f"Bearer {api.keys[role]}"}
            return await client.get("/v1/registrations/r-unknown", headers=key)

        assert [(await call(Role.REGISTRAR)).status_code for _ in range(3)] == [404] * 3
        refused = await call(Role.REGISTRAR)
        api.problem(refused, 429, "too_many_requests")
        assert 3500 < int(refused.headers["retry-after"]) <= 3600
        assert (await call(Role.ADMIN)).status_code == 404


async def test_a_refused_registration_leaves_nothing(api: "Api", clock: "HandClock") -> None:
    async with limited(api, clock, per_key="1/hour") as client:
        key = {"Authorization": f"Bearer {api.keys[Role.REGISTRAR]}"}
        sent = [await client.post("/v1/registrations", json=api.body(id_), headers=key) for id_ in ("r-1", "r-2")]
    assert [answer.status_code for answer in sent] == [202, 429]
    assert [row["registration_id"] for row in await api.rows("registrations")] == ["r-1"]


async def test_a_key_may_call_again_when_its_window_is_over(api: "Api", clock: "HandClock") -> None:
    key = {"Authorization": f"Bearer {api.keys[Role.REGISTRAR]}"}
    async with limited(api, clock, per_key="1/second") as client:

        async def call() -> int:
            return (await client.get("/v1/registrations/r-unknown", headers=key)).status_code

        while await call() != 429:
            pass
        async with asyncio.timeout(30):
            while await call() == 429:
                pass


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("language", Language)
async def test_whoever_sends_forms_too_often_reads_so_in_its_language(
    api: "Api", clock: "HandClock", path: str, language: Language
) -> None:
    form = {"email": "lea@firma.example", "language": language.value}
    async with limited(api, clock, forms="2/hour") as client:
        assert [(await client.post(path, data=form)).status_code for _ in range(2)] == [200, 200]
        stored = await api.everything_stored()
        refused = await client.post(path, data=form)
        assert (refused.status_code, refused.headers["content-type"]) == (429, "text/html; charset=utf-8")
        assert 3500 < int(refused.headers["retry-after"]) <= 3600
        assert f"<h1>{HEADING[language]}</h1>" in refused.text
        assert "lea@" not in refused.text
        assert await api.everything_stored() == stored
        assert (await client.get(path)).status_code == 200  # looking is free


async def test_the_forms_share_one_count(api: "Api", clock: "HandClock") -> None:
    async with limited(api, clock, forms="3/hour") as client:
        sent = [await client.post(path, data={"email": "lea@firma.example"}) for path in (*FORMS, FORMS[0])]
    assert [answer.status_code for answer in sent] == [200, 200, 200, 429]


async def test_a_page_behind_a_link_is_never_refused(api: "Api", clock: "HandClock") -> None:
    async with limited(api, clock, forms="1/hour", per_key="1/hour") as client:
        for path in ("/confirm/x", "/unsubscribe/x", "/preferences/x", "/identity/x"):
            assert {(await client.post(path)).status_code for _ in range(3)} == {404}


async def test_clients_behind_a_trusted_proxy_are_told_apart(api: "Api", clock: "HandClock") -> None:
    async with limited(api, clock, forms="1/hour") as client:

        async def ask(forwarded: str) -> int:
            headers = {"X-Forwarded-For": forwarded}
            return (await client.post("/partner/sign-in", data={"email": "x@y.example"}, headers=headers)).status_code

        assert [await ask(each) for each in ("192.0.2.1", "192.0.2.2", "192.0.2.1")] == [200, 200, 429]
        assert await ask("192.0.2.77, 192.0.2.2") == 429  # what the client itself put in front counts for nothing


async def test_nobody_else_is_believed_about_where_a_client_is(api: "Api", clock: "HandClock") -> None:
    async with limited(api, clock, forms="1/hour", proxies="198.51.100.7") as client:
        sent = [
            await client.post(
                "/partner/sign-in", data={"email": "x@y.example"}, headers={"X-Forwarded-For": f"192.0.2.{number}"}
            )
            for number in range(3)
        ]
    assert [answer.status_code for answer in sent] == [200, 429, 429]
