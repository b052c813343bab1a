"""The whole application over ASGI, as its callers meet it, on a real Postgres."""

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI

from consentflow.api.app import create_app
from consentflow.domain.clock import SystemClock
from consentflow.domain.letters import LetterKind
from consentflow.operations.keys import Role
from consentflow.runtime import Parts
from consentflow.storage.mails import StoredMail
from tests.api.officers import colleague, console
from tests.conftest import make_settings

__all__ = ["colleague", "console"]  # fixtures that several files use

Json = dict[str, Any]
Given = Any
"""What a request may hold: anything JSON can say, and often what it should not."""


@dataclass
class Api:
    """What a caller can do, with a key of every role; and a look behind the door."""

    parts: Parts
    client: httpx.AsyncClient
    keys: dict[Role, str]

    def __post_init__(self) -> None:
        self._ids = count(1)

    async def call(
        self,
        method: str,
        path: str,
        *,
        role: Role | None = Role.ADMIN,
        headers: Mapping[str, str] | None = None,
        json: object = None,
        content: bytes | str | None = None,
    ) -> httpx.Response:
        sent = {**(headers or {})}
        if role is not None:
            sent["Authorization"] = f"Bearer {self.keys[role]}"
        return await self.client.request(method, path, headers=sent, json=json, content=content)

    async def register(self, registration_id: str = "r-1", **changes: Given) -> httpx.Response:
        return await self.call("POST", "/v1/registrations", json=self.body(registration_id, **changes))

    @staticmethod
    def body(registration_id: str = "r-1", **changes: Given) -> Json:
        """A registration; `email` is short for the contact's, and what is None is left out."""
        email = changes.pop("email", "lea@firma.example")
        body = {
            "registration_id": registration_id,
            "kind": "lead",
            "partner_id": "p-77",
            "registered_by": "ana@partner.example",
            "contact": {"email": email, "given_name": "Lea", "family_name": "Muster", "language": "de"},
            "company": {"name": "Firma GmbH", "domain": "firma.example"},
            "country": "DE",
        }
        return {name: value for name, value in (body | changes).items() if value is not None}

    async def show(self, registration_id: str = "r-1") -> Json:
        response = await self.call("GET", f"/v1/registrations/{registration_id}")
        assert response.status_code == 200
        resource: Json = response.json()
        return resource

    async def correct(self, registration_id: str, country: str | None) -> httpx.Response:
        return await self.call("PATCH", f"/v1/registrations/{registration_id}", json={"country": country})

    async def withdraw(self, registration_id: str = "r-1") -> httpx.Response:
        return await self.call("DELETE", f"/v1/registrations/{registration_id}")

    def event(self, kind: str, email: str | None = "lea@firma.example", **changes: Given) -> Json:
        data = {} if email is None else {"email": email}
        event = {"specversion": "1.0", "id": f"e-{next(self._ids)}", "source": "site", "type": kind, "data": data}
        return event | changes

    async def tell(self, *events: Json) -> httpx.Response:
        """One event is sent by itself, several as a batch."""
        if len(events) == 1:
            headers = {"Content-Type": "application/cloudevents+json"}
            return await self.call("POST", "/v1/events", json=events[0], headers=headers)
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        return await self.call("POST", "/v1/events", json=events, headers=headers)

    async def happened(self, kind: str, email: str = "lea@firma.example") -> None:
        assert (await self.tell(self.event(kind, email))).json() == {"accepted": 1, "duplicate": 0, "unmatched": 0}

    async def set_account(self, domain: str, status: str) -> None:
        assert (await self.call("PUT", f"/v1/accounts/{domain}", json={"status": status})).status_code == 200

    async def mail_leaves(
        self, registration_id: str = "r-1", kind: LetterKind = LetterKind.DOUBLE_OPT_IN
    ) -> dict[str, str]:
        """The registration's mail is sent, as a worker would; returns the paths of its links by purpose."""
        due = await self.parts.sending.begin(registration_id, kind)
        assert isinstance(due, StoredMail)
        assert due.mail is not None
        await self.parts.sending.accepted(due.mail_id, "2.0.0 taken")
        text = due.mail.content.decode().replace("=\r\n", "")
        return {
            purpose: f"/{purpose}/{token}"
            for purpose, token in re.findall(r"/(confirm|unsubscribe|preferences)/([\w-]{22})", text)
        }

    async def rows(self, table: str, columns: str = "*") -> list[Json]:
        async with self.parts.database.transaction() as connection:
            return [dict(row) for row in await connection.fetch(f"SELECT {columns} FROM {table}")]

    async def counts(self) -> dict[str, int]:
        """How many rows each table has."""
        async with self.parts.database.transaction() as connection:
            names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            return {
                row["tablename"]: await connection.fetchval(f"SELECT count(*) FROM {row['tablename']}") for row in names
            }

    async def everything_stored(self, *, without: str = "") -> str:
        """All rows of all tables but one, as text."""
        async with self.parts.database.transaction() as connection:
            names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            found = [
                str(await connection.fetchval(f"SELECT json_agg(t) FROM {row['tablename']} t"))
                for row in names
                if row["tablename"] != without
            ]
        return "\n".join(found)

    @staticmethod
    def problem(response: httpx.Response, status: int, code: str) -> Json:
        """Checks that the answer is that problem document, and returns it."""
        assert response.status_code == status, response.text
        assert response.headers["content-type"] == "application/problem+json"
        document: Json = response.json()
        assert set(document) <= {"type", "title", "status", "code", "detail", "errors"}
        assert document["type"] == "about:blank"
        assert document["title"]
        assert (document["status"], document["code"]) == (status, code)
        return document

    def pointers(self, response: httpx.Response, status: int = 422, code: str = "invalid") -> dict[str, str]:
        """The fields that a refusal names, with their codes."""
        return {error["pointer"]: error["code"] for error in self.problem(response, status, code)["errors"]}


@pytest.fixture(scope="session")
async def api_database(postgres_url: str) -> str:
    """One migrated database for all tests of the API; making one for each test would take most of their time."""
    connection = await asyncpg.connect(postgres_url.format(database="postgres"))
    await connection.execute("CREATE DATABASE test_api TEMPLATE template_migrated")
    await connection.execute("ALTER DATABASE test_api SET synchronous_commit = off")
    await connection.close()
    return postgres_url.format(database="test_api")


@pytest.fixture
async def database_url(api_database: str) -> str:
    """The database without a row; the append-only ledger is emptied as only its owner can."""
    connection = await asyncpg.connect(api_database)
    tables = await connection.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '%pogo%'"
    )
    deletes = (f"DELETE FROM {row['tablename']}" for row in tables)
    await connection.execute("; ".join(("SET session_replication_role = replica", *deletes)))
    await connection.close()
    return api_database


@pytest.fixture(scope="session")
def built_app() -> FastAPI:
    """One application for all tests; what it prepares at its first request would take most of their time."""
    return create_app(Parts(make_settings("postgresql://127.0.0.1:1/not-before-a-test-brings-parts"), SystemClock()))


@pytest.fixture
def app(built_app: FastAPI, parts: Parts) -> FastAPI:
    built_app.state.parts = parts
    return built_app


@pytest.fixture
async def api(app: FastAPI, parts: Parts) -> AsyncIterator[Api]:
    keys = {role: await parts.keys.create(role, role.value) for role in Role}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client:
        yield Api(parts, client, keys)
