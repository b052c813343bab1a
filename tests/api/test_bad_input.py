"""What callers should not send: refused by field, without an echo, and without a trace in the database."""

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.api.conftest import Api

JSON = {"Content-Type": "application/json"}


def contact(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 (whatever JSON can say)
    return {"contact": {"email": "lea@firma.example", "given_name": "Lea"} | changes}


async def refused(api: "Api", content: bytes | str) -> dict[str, str]:
    """Sends a body, checks that it is refused without a trace or an echo, and returns the fields named."""
    stored = await api.everything_stored()
    response = await api.call("POST", "/v1/registrations", content=content, headers=JSON)
    found = api.pointers(response)
    assert {mark for mark in ("lea@", "firma", "secret") if mark in response.text.lower()} == set()
    assert await api.everything_stored() == stored
    return found


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"registration_id": ""}, "/registration_id"),
        ({"registration_id": "x" * 65}, "/registration_id"),
        ({"registration_id": "lea@firma.example"}, "/registration_id"),
        ({"registration_id": "r 1"}, "/registration_id"),
        ({"registration_id": "r-1\n"}, "/registration_id"),
        ({"registration_id": "r/1"}, "/registration_id"),
        ({"registration_id": "ü"}, "/registration_id"),
        ({"registration_id": 1001}, "/registration_id"),
        ({"registration_id": ["r-1"]}, "/registration_id"),
        ({"registration_id": True}, "/registration_id"),
        ({"partner_id": ""}, "/partner_id"),
        ({"partner_id": 77}, "/partner_id"),
        ({"partner_id": "secret partner"}, "/partner_id"),
        ({"kind": "secret"}, "/kind"),
        ({"kind": 1}, "/kind"),
        ({"kind": {}}, "/kind"),
        ({"registered_by": "secret"}, "/registered_by"),
        ({"registered_by": {"email": "lea@firma.example"}}, "/registered_by"),
        ({"contact": "lea@firma.example"}, "/contact"),
        ({"contact": []}, "/contact"),
        ({"contact": {}}, "/contact/email"),
        (contact(email=None), "/contact/email"),
        (contact(email=""), "/contact/email"),
        (contact(email=5), "/contact/email"),
        (contact(email="lea"), "/contact/email"),
        (contact(email="lea@"), "/contact/email"),
        (contact(email="lea@firma.example, secret@firma.example"), "/contact/email"),
        (contact(email="lea@firma.example\r\nBcc: secret@firma.example"), "/contact/email"),
        (contact(email="Lea <lea@firma.example>"), "/contact/email"),
        (contact(email='"lea secret"@firma.example'), "/contact/email"),
        (contact(email="lea@[192.0.2.1]"), "/contact/email"),
        (contact(email="lea@localhost"), "/contact/email"),
        (contact(email=f"{'x' * 300}@firma.example"), "/contact/email"),
        (contact(email="lea@p\u0430ypal.com"), "/contact/email"),
        (contact(given_name=7), "/contact/given_name"),
        (contact(given_name=["Lea"]), "/contact/given_name"),
        (contact(given_name="x" * 201), "/contact/given_name"),
        (contact(given_name="x" * 100_000), "/contact/given_name"),
        (contact(language="d\x00"), "/contact/language"),
        (contact(language="x" * 36), "/contact/language"),
        (contact(language=49), "/contact/language"),
        (contact(language="de; secret"), "/contact/language"),
        ({"company": "Firma GmbH"}, "/company"),
        ({"company": {"name": 1}}, "/company/name"),
        ({"company": {"name": "x" * 201}}, "/company/name"),
        ({"company": {"domain": ["firma.example"]}}, "/company/domain"),
        ({"company": {"domain": "x" * 301}}, "/company/domain"),
        ({"company": {"domain": "firma\x00.example"}}, "/company/domain"),
        ({"country": 49}, "/country"),
        ({"country": ["DE"]}, "/country"),
        ({"registered_at": 1795338000}, "/registered_at"),
        ({"registered_at": 1795338000.5}, "/registered_at"),
        ({"registered_at": "1795338000"}, "/registered_at"),
        ({"registered_at": "1795338000000"}, "/registered_at"),
        ({"registered_at": "secret"}, "/registered_at"),
        ({"registered_at": "2026-11-22"}, "/registered_at"),
        ({"registered_at": "2026-11-22T09:00:00"}, "/registered_at"),
        ({"registered_at": "2026-02-30T09:00:00Z"}, "/registered_at"),
        ({"registered_at": "2026-11-22T24:00:00Z"}, "/registered_at"),
        ({"registered_at": "0001-01-01T00:00:00Z"}, "/registered_at"),
        ({"registered_at": "0001-01-01T00:00:00+14:00"}, "/registered_at"),
        ({"registered_at": "1999-12-31T23:59:59Z"}, "/registered_at"),
        ({"registered_at": "9999-12-31T23:59:59Z"}, "/registered_at"),
        ({"registered_at": "9999-12-31T23:59:59-14:00"}, "/registered_at"),
        ({"registered_at": "99999-01-01T00:00:00Z"}, "/registered_at"),
        ({"registered_at": "2026-11-22T09:05:01Z"}, "/registered_at"),
        ({"registered_at": "2027-11-22T09:00:00Z"}, "/registered_at"),
        ({"surprise": "secret"}, "/surprise"),
        (contact(phone="secret"), "/contact/phone"),
        ({"company": {"vat": "secret"}}, "/company/vat"),
        ({"lea@firma.example": 1}, "/?"),
        ({"Secret Name": 1}, "/?"),
        (contact(**{"lea@firma.example": 1}), "/contact/?"),
    ],
)
async def test_a_field_that_is_not_right_is_named_and_nothing_is_stored(
    api: "Api", changes: dict[str, Any], pointer: str
) -> None:
    assert set(await refused(api, json.dumps(api.body(**changes)))) == {pointer}


@pytest.mark.parametrize("missing", ["registration_id", "partner_id", "contact"])
async def test_what_is_required_is_required(api: "Api", missing: str) -> None:
    body = api.body()
    del body[missing]
    assert await refused(api, json.dumps(body)) == {f"/{missing}": "missing"}


async def test_every_field_that_is_not_right_is_named(api: "Api") -> None:
    body = api.body(registration_id="", partner_id=7, country=[], surprise=1, email="nobody")
    assert set(await refused(api, json.dumps(body))) == {
        "/registration_id",
        "/partner_id",
        "/country",
        "/surprise",
        "/contact/email",
    }


TRICKS = {
    "NUL": "Lea\\u0000",
    "escape": "Lea\\u001b[31m",
    "line break": "Lea\\r\\nBcc: x@y.example",
    "line separator": "Lea\\u2028Muster",
    "C1 control": "Lea\\u0085Muster",
    "lone high surrogate": "Lea\\ud800",
    "lone low surrogate": "\\udc00Lea",
    "right-to-left override": "Lea\\u202eretsuM",
    "isolate": "\\u2066Lea",
    "byte order mark": "Lea\\ufeffMuster",
    "zero-width space": "Lea\\u200bMuster",
    "noncharacter": "Lea\\uffff",
    "encoded word": "=?utf-8?B?TGVh?=",
    "encoded word inside": "Lea =?utf-8?q?=0ABcc:_x?= Muster",
}


@pytest.mark.parametrize("trick", TRICKS)
async def test_a_name_with_characters_that_no_name_has_is_refused(api: "Api", trick: str) -> None:
    names = {"given_name": "TRICK", "family_name": "TRICK"}
    body = json.dumps(api.body(**contact(**names), company={"name": "TRICK"})).replace("TRICK", TRICKS[trick])
    assert set(await refused(api, body)) == {"/contact/given_name", "/contact/family_name", "/company/name"}


@pytest.mark.parametrize("trick", ["NUL", "lone high surrogate", "right-to-left override", "line break"])
@pytest.mark.parametrize(
    "field", ["registration_id", "partner_id", "country", "registered_by", "kind", "registered_at"]
)
async def test_no_text_of_a_registration_takes_trick_characters(api: "Api", field: str, trick: str) -> None:
    text = json.dumps(api.body(**{field: "TRICK"})).replace("TRICK", TRICKS[trick])
    assert set(await refused(api, text)) == {f"/{field}"}


@pytest.mark.parametrize(
    "name",
    ["José Ñandú", "李小龍", "O’Brien", "Müller-Lüdenscheidt", "نور\u200cالدين", "Łukasz 2."],  # noqa: RUF001 (names)
)
async def test_a_name_in_any_writing_is_taken(api: "Api", name: str) -> None:
    assert (await api.register(**contact(given_name=name, family_name=name))).status_code == 202
    assert name in {row["given_name"] for row in await api.rows("contacts")}


@pytest.mark.parametrize(
    "body", ["[]", "null", "7", '"lea@firma.example"', "true", "[[[]]]", '{"": {"": []}}', "NaN", "1e400"]
)
async def test_json_that_is_no_registration_is_refused(api: "Api", body: str) -> None:
    await refused(api, body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"registration_id": "r-1",}',
        b"lea@firma.example",
        b"\xff\xfe{\x00}\x00",
        b'{"contact": "\xff"}',
        b"\x00",
        b"[" * 200_000,
        b'{"a":' * 150_000,
        b'{"registration_id": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"registration_id": ' + b"9" * 10_000 + b"}",
    ],
)
async def test_what_cannot_be_read_is_refused_without_harm(api: "Api", body: bytes) -> None:
    stored = await api.everything_stored()
    response = await api.call("POST", "/v1/registrations", content=body, headers=JSON)
    assert response.status_code in {400, 422}
    api.problem(response, response.status_code, response.json()["code"])
    assert "lea@" not in response.text
    assert await api.everything_stored() == stored
    assert (await api.register()).status_code == 202


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None])
async def test_a_body_that_does_not_claim_to_be_json_is_refused(api: "Api", media_type: str | None) -> None:
    headers = {} if media_type is None else {"Content-Type": media_type}
    stored = await api.everything_stored()
    response = await api.call("POST", "/v1/registrations", content=json.dumps(api.body()), headers=headers)
    assert response.status_code in {400, 415, 422}
    api.problem(response, response.status_code, response.json()["code"])
    assert "lea@" not in response.text
    assert await api.everything_stored() == stored


@pytest.mark.parametrize("path", ["/v1/registrations", "/v1/events", "/confirm/x", "/unsubscribe/x"])
async def test_a_body_of_more_than_a_megabyte_is_too_large(api: "Api", path: str) -> None:
    stored = await api.everything_stored()
    response = await api.call("POST", path, content=b" " * 1_000_001, headers=JSON)
    api.problem(response, 413, "too_large")
    assert await api.everything_stored() == stored


async def test_a_body_of_just_a_megabyte_is_read(api: "Api") -> None:
    body = json.dumps(api.body())
    response = await api.call("POST", "/v1/registrations", content=body.ljust(1_000_000), headers=JSON)
    assert response.status_code == 202


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/country"),
        ({"country": 49}, "/country"),
        ({"country": "D\x00"}, "/country"),
        ({"country": "DE", "state": "confirmed"}, "/state"),
        ([], ""),
        (None, ""),
    ],
)
async def test_a_correction_that_is_not_right_is_refused_and_changes_nothing(
    api: "Api", body: object, pointer: str
) -> None:
    await api.register()
    stored = await api.everything_stored()
    response = await api.call("PATCH", "/v1/registrations/r-1", content=json.dumps(body), headers=JSON)
    assert set(api.pointers(response)) == {pointer}
    assert await api.everything_stored() == stored


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1/nothing", 404, "not_found"),
        ("GET", "/assets/nothing.css", 404, "not_found"),
        ("GET", "/assets/..%2f..%2fsettings.py", 404, "not_found"),
        ("GET", "/dev/mailbox", 404, "not_found"),
        ("POST", "/dev/clock", 404, "not_found"),
        ("PUT", "/v1/registrations", 405, "method_not_allowed"),
        ("DELETE", "/v1/events", 405, "method_not_allowed"),
        ("POST", "/healthz", 405, "method_not_allowed"),
    ],
)
async def test_what_is_not_there_is_a_problem_document_too(
    api: "Api", method: str, path: str, status: int, code: str
) -> None:
    api.problem(await api.call(method, path), status, code)
