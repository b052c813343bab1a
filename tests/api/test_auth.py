"""Who may call what."""

import time
from typing import TYPE_CHECKING

import pytest

from consentflow.operations import keys
from consentflow.operations.keys import Role

if TYPE_CHECKING:
    from tests.api.conftest import Api

ENDPOINTS = [
    ("POST", "/v1/registrations", {Role.REGISTRAR}),
    ("GET", "/v1/registrations/r-1", {Role.REGISTRAR, Role.OFFICER}),
    ("PATCH", "/v1/registrations/r-1", {Role.REGISTRAR}),
    ("DELETE", "/v1/registrations/r-1", {Role.REGISTRAR}),
    ("PUT", "/v1/accounts/firma.example", {Role.REGISTRAR, Role.OFFICER}),
    ("POST", "/v1/events", {Role.TRACKER}),
]


HEADERS = [
    None,
    "",
    "Bearer",
    "Bearer ",
    "Bearer nothing-we-made",
    "Bearer cf_admin_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "Bearer \u00fc\u00ff",
    "Basic YWRtaW46YWRtaW4=",
    "Token {key}",
    "{key}",
    "Bearer {key}x",
    "Bearer {key} {key}",
]


@pytest.mark.parametrize(("method", "path"), [(method, path) for method, path, _ in ENDPOINTS])
async def test_without_a_known_key_nobody_is_let_in_and_nothing_changes(api: "Api", method: str, path: str) -> None:
    await api.register()
    stored = await api.everything_stored()
    key = api.keys[Role.ADMIN]
    for header in HEADERS:
        headers = [] if header is None else [(b"Authorization", header.format(key=key).encode("latin-1"))]
        response = await api.client.request(method, path, headers=headers, json={"status": "customer"})
        problem = api.problem(response, 401, "unauthorized")
        assert response.headers["www-authenticate"] == "Bearer"
        assert key not in str(problem)
    assert await api.everything_stored() == stored


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("method", "path", "allowed"), ENDPOINTS)
async def test_a_key_opens_what_its_role_may_do_and_an_admins_key_opens_everything(
    api: "Api", method: str, path: str, allowed: set[Role], role: Role
) -> None:
    await api.register()
    bodies = {"POST": {}, "PATCH": {"country": "FR"}, "PUT": {"status": "customer"}}
    response = await api.call(method, path, role=role, json=bodies.get(method))
    if role is Role.ADMIN or role in allowed:
        assert response.status_code not in {401, 403}
    else:
        api.problem(response, 403, "forbidden")


async def test_a_revoked_key_opens_nothing(api: "Api") -> None:
    async with api.parts.database.transaction() as connection:
        await connection.execute("UPDATE api_keys SET revoked_at = now() WHERE role = 'admin'")
    api.problem(await api.call("GET", "/v1/registrations/r-1"), 401, "unauthorized")


async def test_a_key_that_was_just_used_is_not_looked_up_and_once_revoked_works_for_moments_at_most(
    api: "Api", monkeypatch: pytest.MonkeyPatch
) -> None:
    api.problem(await api.call("GET", "/v1/registrations/r-1"), 404, "not_found")
    async with api.parts.database.transaction() as connection:
        await connection.execute("UPDATE api_keys SET revoked_at = now() WHERE role = 'admin'")
    api.problem(await api.call("GET", "/v1/registrations/r-1"), 404, "not_found")
    later = time.monotonic() + keys.REMEMBERED
    monkeypatch.setattr(keys, "monotonic", lambda: later)
    api.problem(await api.call("GET", "/v1/registrations/r-1"), 401, "unauthorized")


async def test_a_key_that_was_unknown_works_as_soon_as_it_is_made(api: "Api") -> None:
    async with api.parts.database.transaction() as connection:
        await connection.execute("UPDATE api_keys SET revoked_at = now() WHERE role = 'admin'")
    api.problem(await api.call("GET", "/v1/registrations/r-1"), 401, "unauthorized")
    async with api.parts.database.transaction() as connection:
        await connection.execute("UPDATE api_keys SET revoked_at = NULL")
    api.problem(await api.call("GET", "/v1/registrations/r-1"), 404, "not_found")


async def test_no_key_is_stored(api: "Api") -> None:
    stored = await api.everything_stored()
    assert [key for key in api.keys.values() if key in stored or key.encode().hex() in stored] == []


async def test_the_scheme_may_be_written_in_any_case(api: "Api") -> None:
    headers = {"Authorization": f"bearer {api.keys[Role.ADMIN]}"}
    api.problem(await api.client.get("/v1/registrations/r-1", headers=headers), 404, "not_found")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"])
async def test_health_metrics_and_the_documentation_need_no_key(api: "Api", path: str) -> None:
    assert (await api.client.get(path)).status_code == 200
