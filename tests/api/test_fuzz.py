"""Whatever programs and browsers send: an answer that says so, and nothing stored of what was refused."""

import json
from typing import TYPE_CHECKING
from urllib.parse import quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from consentflow.operations.keys import Role
from tests.api.officers import forms
from tests.api.signing_in import form_token, sign_in
from tests.fuzzing import some

if TYPE_CHECKING:
    from tests.api.conftest import Api
    from tests.api.officers import Console

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.sampled_from(
        ["lea@firma.example", "firma.example", "1.0", "contact.opted_in", "2026-11-22T09:00:00Z", "\x00"]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KINDS = ["contact.opted_in", "contact.objected", "company.trial_requested", "company.purchased", "company.", "x" * 600]
DATA = st.fixed_dictionaries(
    {},
    optional={
        "email": st.sampled_from(["lea@firma.example", "nobody@nowhere.example", "lea", "\ud800@x.example"]) | VALUES,
        "domain": st.sampled_from(["firma.example", "co.uk", "xn--", "FIRMA.example.", "a..b"]) | VALUES,
        "occurred_at": st.sampled_from(["2026-11-22T08:00:00Z", "0001-01-01T00:00:00+14:00"]) | VALUES,
        "amount": st.sampled_from(["10.00", 1e308, "-1", "1e9999", 10**40]) | VALUES,
        "currency": st.sampled_from(["EUR", "eur", "€"]) | VALUES,
    },
)
NEARLY = st.fixed_dictionaries(
    {
        "specversion": st.just("1.0") | VALUES,
        "id": st.text(min_size=1, max_size=20) | VALUES,
        "source": st.just("site") | VALUES,
        "type": st.sampled_from(KINDS) | VALUES,
    },
    optional={"data": DATA | VALUES, "time": VALUES, "datacontenttype": VALUES},
)
TAKEN = {"accepted", "duplicate", "unmatched"}


@given(VALUES | NEARLY | st.lists(NEARLY | VALUES, max_size=4), st.booleans())
@example([], True)
@example({"specversion": "1.0", "id": "\ud800", "source": "s", "type": "contact.opted_in"}, False)
@some(80)
async def test_whatever_json_an_event_is_it_is_taken_or_refused_as_a_whole(
    api: "Api", body: object, batch: bool
) -> None:
    await api.register()
    kind = "application/cloudevents-batch+json" if batch else "application/cloudevents+json"
    stored = await api.everything_stored()
    answer = await api.call(
        "POST", "/v1/events", role=Role.TRACKER, content=json.dumps(body), headers={"Content-Type": kind}
    )
    if answer.status_code == 202:
        assert set(answer.json()) == TAKEN
        return
    assert 400 <= answer.status_code < 500, answer.text
    api.problem(answer, answer.status_code, answer.json()["code"])
    assert await api.everything_stored() == stored


@given(st.binary(max_size=200), st.sampled_from(["application/cloudevents+json", "text/plain", "", "application/json"]))
@some(30)
async def test_whatever_bytes_an_event_is_they_are_refused(api: "Api", body: bytes, kind: str) -> None:
    stored = await api.everything_stored()
    answer = await api.call("POST", "/v1/events", content=b"\xff" + body, headers={"Content-Type": kind})
    api.problem(answer, 400, "malformed_json")
    assert await api.everything_stored() == stored


NAMES = [
    "email",
    "name",
    "country",
    "message",
    "language",
    "website",
    "csrf",
    "choice",
    "actions",
    "delivery",
    "partner",
]
FIELDS = st.lists(
    st.tuples(
        st.sampled_from(NAMES) | st.text(max_size=8),
        st.text(max_size=40) | st.sampled_from(["lea@firma.example", "de", "object", "all", "\x00", "x" * 5000]),
    ),
    max_size=6,
)
PUBLIC = [
    "/source-request",
    "/partner/sign-in",
    "/console/sign-in",
    "/partner/sign-in/x",
    "/confirm/x",
    "/unsubscribe/x",
    "/preferences/x",
    "/identity/x",
    "/subscription/x",
    "/partner/sign-out",
    "/console",
]


def encoded(fields: list[tuple[str, str]]) -> bytes:
    """As a browser would, but for what no browser sends: half characters."""
    return "&".join(
        f"{quote_plus(name, errors='surrogatepass')}={quote_plus(value, errors='surrogatepass')}"
        for name, value in fields
    ).encode()


@pytest.mark.parametrize("path", PUBLIC)
@given(FIELDS.map(encoded) | st.binary(max_size=60))
@some(15)
async def test_whatever_a_form_holds_a_page_answers(api: "Api", path: str, body: bytes) -> None:
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data"):
        answer = await api.client.post(path, content=body, headers={"Content-Type": kind})
        assert answer.status_code < 500, (kind, answer.text)


@pytest.mark.parametrize("path", ["/partner/notifications", "/partner/pause", "/partner/resume", "/partner/leave"])
@given(FIELDS)
@some(10)
async def test_whatever_a_partner_s_person_sends_a_page_answers_and_without_its_token_nothing_changes(
    api: "Api", path: str, fields: list[tuple[str, str]]
) -> None:
    await api.register()
    if not api.client.cookies:
        await sign_in(api)
    stored = await api.everything_stored(without="sessions")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    forged = await api.client.post(path, content=encoded(fields), headers=form)
    assert forged.status_code in {400, 403}
    assert await api.everything_stored(without="sessions") == stored

    token = form_token(await api.client.get("/partner/notifications"))
    answer = await api.client.post(path, content=encoded([("csrf", token), *fields]), headers=form)
    assert answer.status_code < 500, answer.text


@pytest.fixture
async def console_forms(api: "Api", console: "Console") -> list[str]:
    """Where an officer's forms go, with a request to decide on."""
    return await forms(api, await console.ask())


@given(st.integers(0, 100), FIELDS)
@some(100)
async def test_whatever_an_officer_sends_a_page_answers(
    console: "Console", console_forms: list[str], which: int, fields: list[tuple[str, str]]
) -> None:
    path = console_forms[which % len(console_forms)]
    token = form_token(await console.client.get("/console/requests/new"))
    body = encoded([("csrf", token), *fields])
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await console.client.post(path, content=body, headers=form)
    assert answer.status_code < 500, (path, answer.text)
