"""The public form to ask for a source: the same answer, by the same work, whether or not the address is known."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import httpx
import pytest

from consentflow.domain.letters import Language
from consentflow.runtime import Parts
from consentflow.storage.pool import Database
from tests.conftest import make_settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from tests.api.conftest import Api
    from tests.conftest import HandClock

FORM = "/source-request"


def check_headers(answer: httpx.Response) -> None:
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "set-cookie" not in answer.headers


class Form(HTMLParser):
    """The fields of a page's form, and how they are labelled."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.fields: dict[str, dict[str, str | None]] = {}
        self.labelled: set[str | None] = set()
        self.ids: set[str | None] = set()
        self.tags: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self.ids.add(given.get("id"))
        if tag in {"input", "textarea"}:
            self.fields[str(given["name"])] = given
        if tag == "label":
            self.labelled.add(given["for"])


@asynccontextmanager
async def statements(database: Database) -> AsyncIterator[list[str]]:
    """Every statement that the database is sent within the block. Requests are sent one by one, on one connection."""
    seen: list[str] = []

    def note(query: object) -> None:
        seen.append(str(query.query))  # type: ignore[attr-defined] # asyncpg.connection.LoggedQuery

    async with database.transaction() as connection:
        connection.add_query_logger(note)
    yield seen
    async with database.transaction() as connection:
        connection.remove_query_logger(note)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_at_the_form_changes_nothing(api: "Api", method: str) -> None:
    stored = await api.everything_stored()
    answer = await api.client.request(method, FORM)
    assert answer.status_code == 200
    check_headers(answer)
    assert await api.everything_stored() == stored


@pytest.mark.parametrize("language", Language)
async def test_the_form_can_be_read_and_filled_in_by_anybody(api: "Api", language: Language) -> None:
    html = (await api.client.get(FORM, params={"language": language})).text
    form = Form(html)
    assert f'<html lang="{language}">' in html
    assert set(form.fields) == {"language", "email", "name", "country", "message", "website"}
    assert {name for name, given in form.fields.items() if "required" in given} == {"email"}
    assert form.labelled == set(form.fields) - {"language"}
    assert {given.get("aria-describedby") for given in form.fields.values()} - {None} <= form.ids
    assert not {"script", "style", "img"} & set(form.tags)
    assert form.fields["website"]["tabindex"] == "-1"


async def test_sending_it_answers_the_same_whether_or_not_the_address_is_known(api: "Api") -> None:
    await api.register(registered_by="ana@partner.example")
    known = await api.client.post(FORM, data={"email": "lea@firma.example"})
    registrant = await api.client.post(FORM, data={"email": "ana@partner.example"})
    unknown = await api.client.post(FORM, data={"email": "nobody@nowhere.example"})
    again = await api.client.post(FORM, data={"email": "lea@firma.example"})
    assert {answer.status_code for answer in (known, registrant, unknown, again)} == {200}
    assert known.text == registrant.text == unknown.text == again.text
    assert known.headers == unknown.headers
    check_headers(known)
    assert "@" not in re.sub(r"\S+@controller\.example", "", known.text)


async def test_sending_it_costs_the_same_statements_whether_or_not_the_address_is_known(api: "Api") -> None:
    await api.register(registered_by="ana@partner.example")
    await api.client.post(FORM, data={"email": "warm@up.example"})
    sent = {}
    for email in ("lea@firma.example", "ana@partner.example", "nobody@nowhere.example", "lea@firma.example"):
        async with statements(api.parts.database) as seen:
            await api.client.post(FORM, data={"email": email})
        sent[email] = list(seen)
    assert len(sent["lea@firma.example"]) > 4
    assert sent["lea@firma.example"] == sent["ana@partner.example"] == sent["nobody@nowhere.example"]
    assert not [each for each in sent["lea@firma.example"] if "registrations" in each or "contacts" in each]


async def test_what_follows_is_the_same_as_well_until_an_officer_decides(api: "Api") -> None:
    await api.register()
    mails = []
    for email in ("lea@firma.example", "bea@firma.example"):
        await api.client.post(FORM, data={"email": email, "language": "en"})
        (request,) = [row for row in await api.rows("source_requests") if row["email"] == email]
        await api.parts.source_clock.advance(request["request_id"])
        written = [row for row in await api.rows("mails ORDER BY purpose") if row["envelope_to"] == email]
        mails.append([(row["purpose"], row["text_version"], row["language"]) for row in written])
    assert mails[0] == mails[1]
    assert [purpose for purpose, *_ in mails[0]] == ["source_identity", "source_receipt"]


async def test_what_was_typed_is_kept_for_the_officer_alone(api: "Api", clock: "HandClock") -> None:
    typed = {"email": " Lea@Firma.Example ", "name": "Lea Muster", "country": "Suisse", "message": "D’où ?\r\nMerci"}
    await api.client.post(FORM, data=typed | {"language": "fr"})
    (request,) = await api.rows("source_requests")
    kept = ("email", "name", "country", "message", "language", "channel", "state", "received_at")
    assert [request[name] for name in kept] == [
        "Lea@firma.example",
        "Lea Muster",
        "CH",
        "D’où ?\nMerci",
        "fr",
        "form",
        "received",
        clock.at,
    ]


async def test_nobody_sends_a_receipt_into_the_past(api: "Api", clock: "HandClock") -> None:
    await api.client.post(FORM, data={"email": "lea@firma.example", "received_at": "2020-01-01T00:00:00Z"})
    (request,) = await api.rows("source_requests")
    assert request["received_at"] == clock.at


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({}, "email"),
        ({"email": "lea"}, "email"),
        ({"email": "lea@firma.example\r\nBcc: eve@evil.example"}, "email"),
        ({"email": "lea@firma.example", "name": "x" * 201}, "name"),
        ({"email": "lea@firma.example", "country": "x" * 201}, "country"),
        ({"email": "lea@firma.example", "message": "x" * 4001}, "message"),
    ],
)
async def test_what_cannot_be_read_is_shown_again_with_what_is_wrong(
    api: "Api", typed: dict[str, str], wrong: str
) -> None:
    stored = await api.everything_stored()
    answer = await api.client.post(FORM, data={"message": "Hallo <b>Sie</b>", **typed})
    assert answer.status_code == 422
    check_headers(answer)
    fields = Form(answer.text).fields
    assert [name for name, given in fields.items() if given.get("aria-invalid")] == [wrong]
    assert f'id="{wrong}-wrong" class="wrong" role="alert"' in answer.text
    if wrong != "message":
        assert "Hallo &lt;b&gt;Sie&lt;/b&gt;</textarea>" in answer.text
    assert await api.everything_stored() == stored


async def test_a_program_that_fills_in_everything_hears_the_same_and_changes_nothing(api: "Api") -> None:
    stored = await api.everything_stored()
    trapped = await api.client.post(FORM, data={"email": "lea@firma.example", "website": "https://evil.example"})
    assert await api.everything_stored() == stored
    assert trapped.text == (await api.client.post(FORM, data={"email": "lea@firma.example"})).text


async def test_bodies_that_are_too_large_or_hold_files_are_refused(api: "Api") -> None:
    stored = await api.everything_stored()
    large = await api.client.post(FORM, data={"email": "lea@firma.example", "message": "x" * 1_000_001})
    assert large.status_code == 413
    many = await api.client.post(FORM, files={"message": ("x.txt", b"x")}, data={"email": "lea@firma.example"})
    assert many.status_code == 400
    assert await api.everything_stored() == stored


async def test_while_the_database_is_down_a_page_says_so(app: "FastAPI", clock: "HandClock") -> None:
    app.state.parts = Parts(make_settings("postgresql://127.0.0.1:1/nothing"), clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client:
        answer = await client.post(FORM, data={"email": "lea@firma.example"})
    assert answer.status_code == 503
    check_headers(answer)


async def test_letters_to_leads_lead_to_the_form(api: "Api") -> None:
    await api.register()
    await api.mail_leaves()
    (mail,) = await api.rows("mails", "content")
    found = re.search(rb"http://127\.0\.0\.1:8000(/source-request)\b", mail["content"])
    assert found
    assert (await api.client.get(found[1].decode())).status_code == 200
