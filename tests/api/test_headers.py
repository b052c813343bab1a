"""What every answer tells the browser, whoever answers."""

import re
from typing import TYPE_CHECKING

import httpx
import pytest

from consentflow.api.app import create_app
from consentflow.runtime import Parts
from tests.conftest import make_settings

if TYPE_CHECKING:
    from tests.api.conftest import Api
    from tests.conftest import HandClock

EVERYWHERE = {
    "/v1/registrations/r-1": 200,
    "/v1/registrations/unknown": 404,
    "/v1/audit": 200,
    "/v1/data-source-requests": 200,
    "/v1/partners/p-77/credits.csv": 200,
    "/nowhere": 404,
    "/healthz": 200,
    "/metrics": 200,
    "/openapi.json": 200,
    "/source-request": 200,
    "/partner/sign-in": 200,
    "/partner": 303,
    "/console": 303,
    "/confirm/x": 404,
}


@pytest.mark.parametrize(("path", "status"), EVERYWHERE.items())
async def test_an_answer_is_neither_kept_nor_framed_nor_taken_for_something_else(
    api: "Api", path: str, status: int
) -> None:
    await api.register()
    answer = await api.call("GET", path)
    assert answer.status_code == status
    headers = answer.headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "strict-transport-security" not in headers  # the service of these tests is reached without TLS
    names = [name for name, _ in headers.raw]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("path", ["/v1/registrations", "/source-request"])
async def test_so_is_a_refusal_before_anybody_reads_the_request(api: "Api", path: str) -> None:
    answer = await api.client.post(path, content=b" " * 1_100_000)
    assert (answer.status_code, answer.headers["cache-control"]) == (413, "no-store")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_so_is_a_failure_that_nobody_foresaw(parts: Parts) -> None:
    app = create_app(parts)

    @app.get("/broken")
    async def broken() -> None:
        raise ZeroDivisionError

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        answer = await client.get("/broken")
    assert (answer.status_code, answer.headers["cache-control"]) == (500, "no-store")
    assert answer.headers["x-frame-options"] == "DENY"


async def test_a_page_with_a_policy_of_its_own_keeps_it_and_is_not_framed_either(api: "Api") -> None:
    await api.register()
    answer = await api.call(
        "POST", "/v1/access-exports", json={"email": "lea@firma.example"}, headers={"Accept": "text/html"}
    )
    assert answer.status_code == 200
    assert "style-src 'unsafe-inline'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


async def test_what_holds_nothing_about_anybody_may_be_kept(api: "Api") -> None:
    answer = await api.client.get("/assets/consentflow.css")
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_api_s_documentation_can_be_read_and_not_framed(api: "Api") -> None:
    answer = await api.client.get("/docs")
    assert answer.headers["content-security-policy"] == "frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("public_url", "encrypted"), [("https://privacy.controller.example", True), ("http://127.0.0.1:8000", False)]
)
async def test_browsers_come_back_encrypted_where_the_service_has_it(
    database_url: str, clock: "HandClock", public_url: str, encrypted: bool
) -> None:
    app = create_app(Parts(make_settings(database_url, public_url=public_url), clock))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client:
        found = (await client.get("/healthz")).headers.get("strict-transport-security", "")
    assert bool(re.fullmatch(r"max-age=\d{8}", found)) is encrypted
