"""Registrations in bulk: `POST /v1/registrations:batch`."""

import asyncio
import json
import socket
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from consentflow.api import registration_batches, streaming
from consentflow.api.app import serving
from consentflow.api.registration_batches import PATH
from consentflow.domain.errors import StorageUnavailable
from consentflow.domain.lines import LONGEST_LINE, Lines, Row
from consentflow.operations.keys import Role
from tests.fuzzing import some

if TYPE_CHECKING:
    from tests.api.conftest import Api

Json = dict[str, Any]
NDJSON = {"Content-Type": "application/x-ndjson"}


def line(body: Json) -> bytes:
    return json.dumps(body).encode() + b"\n"


def results(content: bytes) -> list[Json]:
    assert content.endswith(b"\n") or not content
    return [json.loads(each) for each in content.split(b"\n")[:-1]]


async def hand_in(api: "Api", content: bytes, **headers: str) -> list[Json]:
    response = await api.call("POST", PATH, role=Role.REGISTRAR, headers=NDJSON | headers, content=content)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    return results(response.content)


def said(found: list[Json]) -> list[tuple[int, int, str | None]]:
    """Line, status, and why not."""
    return [(each["line"], each["status"], each.get("problem", {}).get("code")) for each in found]


async def test_each_line_is_answered_in_order_and_bad_ones_stop_no_good_one(api: "Api") -> None:
    await api.set_account("kunde.example", "customer")
    content = b"".join(
        [
            line(api.body("r-1")),
            b"not json\n",
            line(api.body("r-2", email="nobody")),
            line(api.body("r-1")),
            line(api.body("r-1", country="FR")),
            line(api.body("r-3", company={"domain": "kunde.example"})),
            line(api.body("r-4", partner_id="p-2")),
            b"\xff\xfe{}\n",
            b"[]\n",
            line(api.body("r-5", email="eva@betrieb.example", company=None, country="FR")),
        ]
    )
    found = await hand_in(api, content)
    assert said(found) == [
        (1, 202, None),
        (2, 400, "malformed_json"),
        (3, 422, "invalid"),
        (4, 200, None),
        (5, 409, "registration_conflict"),
        (6, 409, "existing_customer"),
        (7, 409, "owned_by_other_partner"),
        (8, 400, "not_utf8"),
        (9, 422, "invalid"),
        (10, 202, None),
    ]
    ids = [each.get("registration_id") for each in found]
    assert ids == ["r-1", None, "r-2", "r-1", "r-1", "r-3", "r-4", None, None, "r-5"]
    assert [error["pointer"] for error in found[2]["problem"]["errors"]] == ["/contact/email"]
    assert {row["registration_id"] for row in await api.rows("registrations")} == {"r-1", "r-5"}
    shown = await api.show("r-5")
    assert found[9]["registration"] == {
        name: shown[name] for name in found[9]["registration"]
    }  # the same values under the same names
    assert set(found[9]["registration"]) >= {"registration_id", "state", "regime", "reason", "due_at", "owned_until"}


async def test_the_same_batch_again_changes_nothing(api: "Api") -> None:
    content = b"".join(line(api.body(f"r-{n}", email=f"lead{n}@company{n}.example", company=None)) for n in range(600))
    first = await hand_in(api, content)
    assert said(first) == [(n + 1, 202, None) for n in range(600)]
    stored = await api.everything_stored()
    again = await hand_in(api, content)
    assert said(again) == [(n + 1, 200, None) for n in range(600)]
    assert [each["registration"] for each in again] == [each["registration"] for each in first]
    assert await api.everything_stored() == stored


async def test_empty_lines_are_passed_over_and_counted(api: "Api") -> None:
    one, two = line(api.body("r-1"))[:-1], line(api.body("r-2"))[:-1]
    found = await hand_in(api, b"\xef\xbb\xbf" + one + b"\r\n\r\n  \n\n" + two)
    assert said(found) == [(1, 202, None), (5, 202, None)]
    assert await hand_in(api, b"") == []
    assert await hand_in(api, b"\n\n") == []


async def test_a_line_that_is_too_long_is_refused_and_the_next_one_is_not(api: "Api") -> None:
    long = b'{"registration_id": "' + b"x" * LONGEST_LINE + b'"}\n'
    found = await hand_in(api, line(api.body("r-1")) + long + line(api.body("r-2")) + long[:-1])
    assert said(found) == [(1, 202, None), (2, 413, "too_large"), (3, 202, None), (4, 413, "too_large")]


@pytest.mark.parametrize(
    "media_type",
    ["application/x-ndjson; charset=utf-8", "application/jsonl", "application/JSON-lines", "application/x-jsonlines"],
)
async def test_one_document_a_line_goes_by_several_names(api: "Api", media_type: str) -> None:
    assert said(await hand_in(api, line(api.body()), **{"Content-Type": media_type})) == [(1, 202, None)]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "application/json"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"},
    ],
)
async def test_anything_else_is_answered_415(api: "Api", headers: dict[str, str]) -> None:
    response = await api.call("POST", PATH, headers=headers, content=line(api.body()))
    api.problem(response, 415, "unsupported_media_type")
    assert await api.rows("registrations") == []


async def test_only_registrars_may(api: "Api") -> None:
    for role, status in ((None, 401), (Role.TRACKER, 403), (Role.OFFICER, 403)):
        response = await api.call("POST", PATH, role=role, headers=NDJSON, content=line(api.body()))
        assert response.status_code == status
    assert await api.rows("registrations") == []


MARK = "zqzq"


async def test_no_result_repeats_anything_personal(api: "Api") -> None:
    who = {"email": f"{MARK}lead@{MARK}.example", "given_name": f"{MARK}given", "family_name": f"{MARK}family"}
    by = {"registered_by": f"{MARK}rep@partner.example", "company": {"name": f"{MARK} GmbH"}, "country": f"{MARK}land"}
    good = api.body("r-1", contact=who, **by)
    lines = [
        line(good),
        line(good),
        line(good | {"country": "FR"}),
        line(good | {"registration_id": f"{MARK}lead@{MARK}.example"}),
        line(good | {"registration_id": "r-2", "contact": who | {"email": f"{MARK} lead"}}),
        line(good | {"registration_id": "r-3", "contact": who | {f"{MARK}Lead Name": 1}}),
        line(good | {"registration_id": "r-4", "kind": f"{MARK}"}),
        line(good | {"registration_id": "r-5", "registered_at": f"{MARK}"}),
        line(good | {"registration_id": "r-6", "contact": f"{MARK}lead@{MARK}.example"}),
        line(good)[:-9] + b"\n",
        line(good).replace(b"given", b"\xff"),
    ]
    response = await api.call("POST", PATH, headers=NDJSON, content=b"".join(lines))
    statuses = [each["status"] for each in results(response.content)]
    assert statuses == [202, 200, 409, 422, 422, 422, 422, 422, 422, 400, 400]
    told = response.text.replace(f'"company_domain":"{MARK}.example"', "")  # the company is no person
    assert MARK not in told.lower()


# Over a real socket: what comes when.


@pytest.fixture
async def url(app: FastAPI) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        async with serving(app, listener):
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def talking(api: "Api", url: str) -> AsyncIterator["Talk"]:
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST {PATH} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {api.keys[Role.REGISTRAR]}\r\n"
        "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    try:
        async with asyncio.timeout(60):
            yield Talk(reader, writer)
    finally:
        writer.close()


class Talk:
    """A request that is under way."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def say(self, content: bytes) -> None:
        self._writer.write(b"%x\r\n%s\r\n" % (len(content), content))
        await self._writer.drain()

    async def rest(self) -> bytes:
        return await self._reader.read()

    async def head(self) -> str:
        return (await self._reader.readuntil(b"\r\n\r\n")).decode()

    async def hear(self) -> list[Json]:
        """The results of the next chunk; none at the end."""
        size = int(await self._reader.readline(), 16)
        content = await self._reader.readexactly(size)
        assert await self._reader.readexactly(2) == b"\r\n"
        return results(content)


async def test_results_come_before_the_last_line_is_sent(api: "Api", url: str) -> None:
    async with talking(api, url) as talk:
        for number in range(5):
            body = line(api.body(f"r-{number}", email=f"lead{number}@company.example"))
            await talk.say(body[:50])
            await talk.say(body[50:])
            if number == 0:
                assert (await talk.head()).startswith("HTTP/1.1 200 ")
            assert said(await talk.hear()) == [(number + 1, 202, None)]
        await talk.say(b"")
        assert await talk.hear() == []


async def test_what_was_taken_stays_when_the_client_goes_and_half_a_line_is_none(api: "Api", url: str) -> None:
    async with talking(api, url) as talk:
        await talk.say(line(api.body("r-1")) + line(api.body("r-2"))[:-1])
        await talk.head()
        assert said(await talk.hear()) == [(1, 202, None)]
    async with talking(api, url) as talk:
        await talk.say(line(api.body("r-3")))
        await talk.head()
        assert said(await talk.hear()) == [(1, 202, None)]
    assert {row["registration_id"] for row in await api.rows("registrations")} == {"r-1", "r-3"}


async def test_a_client_that_falls_silent_is_told_from_which_line_on_and_let_go(
    api: "Api", url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "PATIENCE", 0.2)
    async with talking(api, url) as talk:
        await talk.say(line(api.body("r-1")) + b'{"registration_id"')
        await talk.head()
        assert said(await talk.hear()) == [(1, 202, None)]
        assert said(await talk.hear()) == [(2, 408, "request_timeout")]
        assert await talk.hear() == []
    async with talking(api, url) as talk:
        head = await talk.head()
        assert head.startswith("HTTP/1.1 408 ")
        assert "connection: close" in head.lower()


async def test_a_client_that_takes_nothing_is_let_go(
    api: "Api", url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(streaming, "PATIENCE", 0.5)
    monkeypatch.setattr(streaming, "MOST_KEPT", 1000)

    async def send_on(talk: Talk) -> None:
        with suppress(ConnectionError):
            while True:
                await talk.say(b"{}\n" * 2000)

    async with talking(api, url) as talk:
        sending = asyncio.create_task(send_on(talk))
        while "without completing response" not in caplog.text:
            await asyncio.sleep(0.05)
        with suppress(ConnectionError):  # the line is closed behind what was sent already
            assert not (await talk.rest()).endswith(b"0\r\n\r\n")
        sending.cancel()


async def test_a_refused_client_that_keeps_sending_is_let_go(url: str) -> None:
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        response = await client.post(PATH, headers=NDJSON, content=b"{}\n" * 3_000_000)
    assert response.status_code == 401
    assert response.headers["connection"] == "close"


async def test_clients_that_send_everything_before_they_read_just_work_and_memory_stays_small(
    api: "Api", url: str
) -> None:
    number, longest = 8_000, 0
    taken_before = line(api.body("r-1"))[:-1].ljust(5000) + b"\n"  # mostly space: 40 MB in all
    refused = b"{}".ljust(5000) + b"\n"

    async def lines() -> AsyncIterator[bytes]:
        nonlocal longest
        for _ in range(0, number, 100):
            yield taken_before + refused * 99
            longest = max(longest, tracemalloc.get_traced_memory()[0])

    headers = NDJSON | {"Authorization": f"Bearer {api.keys[Role.REGISTRAR]}"}
    tracemalloc.start()
    try:
        async with (
            httpx.AsyncClient(base_url=url, timeout=150) as client,
            client.stream("POST", PATH, headers=headers, content=lines()) as response,
        ):
            count = 0
            async for each in response.aiter_lines():
                count += 1
                assert each.startswith(f'{{"line":{count},')
    finally:
        tracemalloc.stop()
    assert count == number
    assert longest < 15_000_000


async def test_a_short_absence_of_the_database_costs_no_line(api: "Api", url: str, database_url: str) -> None:
    operator = await asyncpg.connect(database_url)
    async with talking(api, url) as talk:
        for number in range(1, 6):
            if number > 1:  # the key was looked up by then
                await operator.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            await talk.say(line(api.body(f"r-{number}", email=f"lead{number}@company.example")))
            if number == 1:
                await talk.head()
            assert said(await talk.hear()) == [(number, 202, None)]
        await talk.say(b"")
    await operator.close()


async def test_lines_not_taken_while_the_database_is_away_are_answered_503_and_can_be_handed_in_again(
    api: "Api", url: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration_batches, "PATIENCE", 0.0)
    monkeypatch.setattr(registration_batches, "GIVEN_UP_FOR", 0.0)
    lines = [line(api.body(f"r-{number}", email=f"lead{number}@company.example")) for number in range(1, 5)]
    operator = await asyncpg.connect(postgres_url.format(database="postgres"))

    async def move(here: str, there: str) -> None:
        await operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", here)
        await operator.execute(f"ALTER DATABASE {here} RENAME TO {there}")

    async def with_a_gap() -> AsyncIterator[bytes]:
        yield lines[0]
        await move("test_api", "test_api_away")
        yield lines[1] + b"{}\n"
        yield lines[2]
        await move("test_api_away", "test_api")
        yield lines[3]

    found: list[Json] = []
    async with talking(api, url) as talk:
        async for piece in with_a_gap():
            await talk.say(piece)
            if not found:
                await talk.head()
            found += await talk.hear()
        await talk.say(b"")
    await operator.close()
    away = "storage_unavailable"
    assert said(found) == [(1, 202, None), (2, 503, away), (3, 422, "invalid"), (4, 503, away), (5, 202, None)]
    again = await hand_in(api, b"".join(lines))
    assert [each["status"] for each in again] == [200, 202, 202, 200]


async def test_while_the_database_is_away_it_is_not_tried_for_every_line(
    api: "Api", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registration_batches, "PATIENCE", 0.0)
    tried = 0

    async def register_all(_: object) -> NoReturn:
        nonlocal tried
        tried += 1
        raise StorageUnavailable("OSError")

    monkeypatch.setattr(api.parts.registrations, "register_all", register_all)
    found = await hand_in(api, b"".join(line(api.body(f"r-{number}")) for number in range(1000)))
    assert [each["status"] for each in found] == [503] * 1000
    assert tried == 1


@given(
    st.lists(st.binary(max_size=30), max_size=8),
    st.sampled_from([b"\n", b"\r\n"]),
    st.lists(st.integers(0, 300), max_size=10),
)
@some(200)
def test_lines_are_the_same_however_they_come_in_pieces(lines: list[bytes], end: bytes, cuts: list[int]) -> None:
    content = end.join(lines)

    def read(pieces: list[bytes]) -> Iterator[Row]:
        splitter = Lines(longest=20)
        for piece in pieces:
            yield from splitter.feed(piece)
        yield from splitter.end()

    places = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    in_pieces = [content[start:stop] for start, stop in pairwise(places)]
    whole = list(read([content]))
    assert list(read(in_pieces)) == whole
    apart = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    assert [row.number for row in whole] == [
        number for number, each in enumerate(apart, 1) if each.strip(b" \t\r\n\x0b\x0c")
    ]
