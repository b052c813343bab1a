"""Slow, silent and endless clients, over a real socket."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from consentflow.api.app import create_app, serving
from consentflow.api.limits import BodyLimits
from consentflow.operations.keys import Role

if TYPE_CHECKING:
    from tests.api.conftest import Api

Address = tuple[str, int]


@pytest.fixture
async def served(api: "Api") -> AsyncIterator[Address]:
    """The application on a port of its own, patient for an instant only."""
    app: FastAPI = create_app(api.parts)
    app.add_middleware(BodyLimits, slowest=0.1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with serving(app, listener):
            yield listener.getsockname()


@asynccontextmanager
async def line_to(address: Address) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*address)
    try:
        yield reader, writer
    finally:
        writer.close()


def head(api: "Api", path: str, *more: str, role: Role = Role.ADMIN) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: testserver", f"Authorization: Bearer {api.keys[role]}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    async with asyncio.timeout(30):
        raw = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = raw.rstrip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return int(first.split()[1]), headers, body


PARTS_OF_A_BODY = [
    ("nothing", ["Content-Length: 400"], b""),
    ("a part", ["Content-Length: 400"], b'{"registration_id": "r-1",'),
    ("no end of chunks", ["Transfer-Encoding: chunked"], b"2\r\n{}\r\n"),
    ("half a chunk", ["Transfer-Encoding: chunked"], b"ff\r\n{"),
]


@pytest.mark.parametrize("path", ["/v1/registrations", "/v1/events", "/confirm/x", "/unsubscribe/x"])
@pytest.mark.parametrize(
    ("headers", "body"), [part[1:] for part in PARTS_OF_A_BODY], ids=[p[0] for p in PARTS_OF_A_BODY]
)
async def test_a_client_that_stops_in_the_middle_is_answered_408_and_let_go(
    api: "Api", served: Address, path: str, headers: list[str], body: bytes
) -> None:
    stored = await api.everything_stored()
    async with line_to(served) as (reader, writer):
        writer.write(head(api, path, "Content-Type: application/json", *headers) + body)
        status, received, content = await answer(reader)
        assert status == 408
        assert received["content-type"] == "application/problem+json"
        assert json.loads(content)["code"] == "request_timeout"
        assert received["connection"] == "close"
        async with asyncio.timeout(30):
            assert await reader.read() == b""  # the line is closed: what follows cannot be taken for a request
    assert await api.everything_stored() == stored


async def test_a_client_that_hangs_up_in_the_middle_leaves_nothing(api: "Api", served: Address) -> None:
    stored = await api.everything_stored()
    for _ in range(5):
        async with line_to(served) as (_, writer):
            writer.write(head(api, "/v1/registrations", "Content-Length: 400") + b'{"registration_id": "r-1"')
            await writer.drain()
    async with line_to(served) as (reader, writer):
        writer.write(head(api, "/v1/registrations", "Content-Type: application/json", "Content-Length: 0"))
        assert (await answer(reader))[0] == 422
    assert await api.everything_stored() == stored


@pytest.mark.parametrize("chunked", [True, False])
async def test_an_endless_body_is_answered_413_before_its_end(api: "Api", served: Address, chunked: bool) -> None:
    size = 2_000_000
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    piece = b" " * 100_000
    async with line_to(served) as (reader, writer):
        writer.write(head(api, "/v1/registrations", "Content-Type: application/json", framing))
        for _ in range(11):
            writer.write(b"186a0\r\n" + piece + b"\r\n" if chunked else piece)
            await writer.drain()
        status, received, content = await answer(reader)
        assert (status, received["connection"]) == (413, "close")
        assert json.loads(content)["code"] == "too_large"
    assert await api.rows("registrations") == []


async def test_a_body_that_comes_in_pieces_is_taken(api: "Api", served: Address) -> None:
    body = json.dumps(api.body()).encode()
    async with line_to(served) as (reader, writer):
        writer.write(head(api, "/v1/registrations", "Content-Type: application/json", f"Content-Length: {len(body)}"))
        for start in range(0, len(body), 50):
            writer.write(body[start : start + 50])
            await writer.drain()
        status, _, content = await answer(reader)
    assert (status, json.loads(content)["registration_id"]) == (202, "r-1")


async def test_silent_clients_keep_nobody_else_waiting(api: "Api", served: Address) -> None:
    async with asyncio.timeout(60):
        lines = [await asyncio.open_connection(*served) for _ in range(50)]
        for _, writer in lines[:25]:
            writer.write(b"POST /v1/registrations HTTP/1.1\r\nHost: x\r\n")
        body = json.dumps(api.body()).encode()
        async with line_to(served) as (reader, writer):
            more = ("Content-Type: application/json", f"Content-Length: {len(body)}")
            writer.write(head(api, "/v1/registrations", *more) + body)
            assert (await answer(reader))[0] == 202
        for _, writer in lines:
            writer.close()


async def test_what_is_no_http_is_refused(served: Address) -> None:
    async with line_to(served) as (reader, writer):
        writer.write(b"\x16\x03\x01\x00\xa5\x01\r\n\r\n")
        async with asyncio.timeout(30):
            assert (await reader.read()).startswith(b"HTTP/1.1 400")


class Doorman:
    """Says when a request has come in."""

    def __init__(self, app: ASGIApp, came_in: asyncio.Event) -> None:
        self._app = app
        self._came_in = came_in

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self._came_in.set()
        await self._app(scope, receive, send)


async def test_a_request_in_flight_is_finished_when_the_server_stops(api: "Api") -> None:
    body = json.dumps(api.body()).encode()
    app, came_in = create_app(api.parts), asyncio.Event()
    app.add_middleware(Doorman, came_in=came_in)

    async def finish_once_nobody_else_is_let_in(writer: asyncio.StreamWriter) -> None:
        while listener.fileno() != -1:
            await asyncio.sleep(0.01)
        writer.write(body[-10:])

    async with asyncio.timeout(60):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            async with serving(app, listener):
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                more = ("Content-Type: application/json", f"Content-Length: {len(body)}")
                writer.write(head(api, "/v1/registrations", *more) + body[:-10])
                await came_in.wait()
                finishing = asyncio.create_task(finish_once_nobody_else_is_let_in(writer))
        await finishing
        status, _, _ = await answer(reader)
        writer.close()
    assert status == 202
    assert [row["registration_id"] for row in await api.rows("registrations")] == ["r-1"]
