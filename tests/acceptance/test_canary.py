"""Canaries: every journey with marked names, addresses and tokens, then a search for the marks wherever people look.

A mark is a word such as ``zqzqgiven3``: what it names, and the number of the lead it belongs to.
"""

import json
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from itertools import count
from typing import Any

import asyncpg
import httpx
import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from consentflow.domain.intake import RegistrationIn
from consentflow.domain.letters import LetterKind
from consentflow.runtime import Parts
from consentflow.storage.mails import StoredMail
from tests.acceptance.stack import Json, Stack, link_in, text_of
from tests.conftest import HandClock, make_settings

OF_THE_LEAD = ("zqzqlead", "zqzqgiven", "zqzqfamily")
OF_THE_SOURCE = ("zqzqpartnerid", "zqzqrep", "zqzqpartner")
_MARK = re.compile(rb"zqzq[a-z]+[0-9]+")
_TOKEN = re.compile(r"/(?:confirm|unsubscribe|preferences)/([\w-]{16,})")
_number = count(1)


def marks_in(text: str | bytes) -> set[str]:
    """Every mark in a text, whatever its case."""
    content = text.encode() if isinstance(text, str) else text
    return {found.decode() for found in _MARK.findall(content.lower())}


def decoded(mail: EmailMessage) -> str:
    """All that a mail says: headers, both parts, links."""
    return "\n".join([*(f"{name}: {value}" for name, value in mail.items()), text_of(mail), text_of(mail, "html")])


def marked(country: str | None, **more: object) -> Json:
    """A registration in which every text is a mark of its own."""
    n = next(_number)
    return {
        "registration_id": f"canary-{n}",
        "partner_id": f"zqzqpartnerid{n}",
        "registered_by": f"zqzqrep{n}@zqzqpartner{n}.example",
        "contact": {
            "email": f"zqzqlead{n}@zqzqdomain{n}.example",
            "given_name": f"Zqzqgiven{n}",
            "family_name": f"Zqzqfamily{n}",
        },
        "company": {"name": f"Zqzqcompany{n}", "domain": f"zqzqdomain{n}.example"},
        "country": country,
    } | more


def number_of(request: Json) -> str:
    return str(request["registration_id"]).removeprefix("canary-")


@dataclass
class Flight:
    """The journeys that were made on a stack, and all that it answered to requests that were wrong."""

    stack: Stack
    requests: dict[str, Json] = field(default_factory=dict)
    refusals: list[httpx.Response] = field(default_factory=list)

    @property
    def tokens(self) -> set[str]:
        return {token for mail in self.stack.mails() for token in _TOKEN.findall(decoded(mail))}

    def sent(self, country: str | None, **more: object) -> Json:
        request = marked(country, **more)
        answer = self.stack.call("POST", "/v1/registrations", role="registrar", json=request)
        assert answer.status_code == 202, answer.text
        self.requests[request["registration_id"]] = request
        return request

    def refused(self, method: str, path: str, **more: Any) -> None:  # noqa: ANN401 - whatever httpx takes
        answer = self.stack.call(method, path, **more)
        assert answer.status_code >= 400, answer.text
        self.refusals.append(answer)


@pytest.fixture(scope="module", params=["skipping", "real"])
def flight(request: pytest.FixtureRequest) -> Flight:
    stack: Stack = request.getfixturevalue(request.param)
    flight = Flight(stack)
    travel(flight)
    go_wrong(flight)
    return flight


def travel(flight: Flight) -> None:
    """Every way a registration can go; in real time a notice comes due by having been registered long ago."""
    stack = flight.stack
    long_ago = {"registered_at": (datetime.now(UTC) - timedelta(days=30, seconds=-3)).isoformat()}
    confirmed, lapsing, objecting, withdrawn = (flight.sent("DE") for _ in range(4))
    again = flight.sent("DE", contact=confirmed["contact"])
    for asked in (confirmed, lapsing, objecting, withdrawn, again):
        stack.settles(asked, "awaiting_confirmation")
    notified, located, informed = flight.sent("FR", **long_ago), flight.sent(None), flight.sent("IT")
    flight.sent("US")
    flight.sent("Zqzqcountry1")
    assert stack.event("contact.form_submitted", informed).status_code == 202
    corrected = stack.call("PATCH", f"/v1/registrations/{located['registration_id']}", json={"country": "AT"})
    assert corrected.status_code == 200
    stack.settles(located, "awaiting_confirmation")
    link = link_in(stack.mail(confirmed), "confirm")
    for _ in range(2):
        assert httpx.head(link).status_code == httpx.get(link).status_code == 200
        assert httpx.post(link).status_code == 200
    one_click = {"List-Unsubscribe": "One-Click"}
    assert httpx.post(link_in(stack.mail(objecting), "unsubscribe"), data=one_click).status_code == 200
    assert stack.call("DELETE", f"/v1/registrations/{withdrawn['registration_id']}").status_code == 200
    if not stack.info["temporal_ui"]:
        stack.advance("P31D")
        stack.settles(lapsing, "lapsed")
    stack.mail(notified)
    stack.settles(notified, "notified")
    late = httpx.get(link_in(stack.mail(notified), "unsubscribe"))
    assert late.status_code == 200


def go_wrong(flight: Flight) -> None:
    """Whatever can be refused, with marks in it."""
    flight.refused("GET", "/v1/registrations/zqzqlead901")
    flight.refused("GET", "/zqzqlead902")
    for page in ("confirm", "unsubscribe", "preferences"):
        flight.refused("GET", f"/{page}/zqzqtoken903")
        flight.refused("POST", f"/{page}/zqzqtoken903")
    known = next(iter(flight.requests.values()))
    for wrong in (
        known | {"country": "Zqzqcountry904"},
        marked("DE", contact={"email": "zqzqlead905 at zqzqdomain905"}),
        marked("DE", contact={"email": "zqzqlead906@zqzqdomain906.example", "zqzqgiven906@x": 1}),
        marked("DE", contact={"email": "zqzqlead907@zqzqdomain907.example", "given_name": "Zqzqgiven907\r\nBcc: x"}),
        marked("DE", registered_at="2999-01-01T00:00:00Z"),
        marked("DE", registration_id="zqzqlead908@zqzqdomain908.example"),
        marked("DE", partner_id="zqzqpartnerid909", company=known["company"]),
    ):
        flight.refused("POST", "/v1/registrations", json=wrong)
    flight.refused("POST", "/v1/registrations", content=b'{"contact": {"email": "zqzqlead910@zqzqdomain910.example"')
    flight.refused("POST", "/v1/events", content=b'{"data": {"email": "zqzqlead911@zqzqdomain911.example"')
    flight.refused("POST", "/v1/events", json={"specversion": "1.0", "data": {"email": "zqzqlead912"}})
    flight.refused("PUT", "/v1/accounts/zqzqlead913@gmail.com", json={"status": "customer"})
    flight.refused("GET", "/v1/registrations/r-1", role=None, headers={"Authorization": "Bearer zqzqtoken914"})


async def histories(flight: Flight) -> AsyncIterator[bytes]:
    """All that Temporal has kept of each of our workflows, as the bytes on the wire."""
    client = await Client.connect(flight.stack.info["temporal"])
    if flight.stack.info["temporal_ui"]:
        runs = [(each.id, each.run_id) async for each in client.list_workflows()]
    else:  # the engine that skips time keeps no list
        runs = [(f"registration/{registration_id}", "") for registration_id in flight.requests]
    for workflow_id, run_id in runs:
        handle = client.get_workflow_handle(workflow_id, run_id=run_id or None)
        try:
            yield (await handle.describe()).raw_description.SerializeToString()
            for event in (await handle.fetch_history()).events:
                yield event.SerializeToString()
        except RPCError as error:  # what joined a question that was answered meanwhile may have no workflow
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise


async def test_temporal_knows_no_person_and_no_token(flight: Flight) -> None:
    tokens, told = flight.tokens, set(flight.requests)
    async for content in histories(flight):
        told -= {registration_id for registration_id in told if registration_id.encode() in content}
        assert marks_in(content) == set()
        assert not tokens_in(content, tokens)
    assert not told, "what should be in the histories was not found either"


def test_the_process_logs_no_person_and_no_token(flight: Flight) -> None:
    said = flight.stack.said()
    assert marks_in(said) == set()
    assert not tokens_in(said.encode(), flight.tokens)


def test_the_metrics_tell_no_person_and_no_token(flight: Flight) -> None:
    told = flight.stack.call("GET", "/metrics").text + flight.stack.call("GET", "/readyz").text
    assert marks_in(told) == set()
    assert not tokens_in(told.encode(), flight.tokens)


def test_no_refusal_repeats_what_was_sent(flight: Flight) -> None:
    for answer in flight.refusals:
        found = marks_in(answer.text) | marks_in(str(answer.headers))
        assert (answer.request.url.path, found) == (answer.request.url.path, set())


def test_a_registration_shows_its_callers_own_words_and_no_person(flight: Flight) -> None:
    tokens = flight.tokens
    for request in flight.requests.values():
        shown = flight.stack.registration(request)
        own = [shown.pop(name) for name in ("partner_id", "company_domain", "country_received")]
        assert marks_in(json.dumps(own)) <= marks_in(json.dumps(request))
        assert marks_in(json.dumps(shown)) == set()
        assert not tokens_in(json.dumps(shown).encode(), tokens)


def test_a_mail_tells_of_its_own_lead_alone(flight: Flight) -> None:
    for request in flight.requests.values():
        sharing = [each for each in flight.requests.values() if each["contact"] == request["contact"]]
        own = marks_in(json.dumps([[each["contact"], each["company"]] for each in sharing]))
        for mail in flight.stack.mails(request):
            assert marks_in(decoded(mail)) <= own


def test_no_mail_tells_the_source_of_the_data(flight: Flight) -> None:
    mails = flight.stack.mails()
    assert mails
    for mail in mails:
        for text in (decoded(mail), mail.as_string()):
            assert not [mark for mark in marks_in(text) if mark.startswith(OF_THE_SOURCE)]
            assert "canary-" not in text


def test_the_links_in_mails_are_opaque(flight: Flight) -> None:
    for mail in flight.stack.mails():
        links = re.findall(r"https?://[^\s\"'<>]+", decoded(mail))
        assert links
        assert all(marks_in(link) == set() for link in links)


async def stored(flight: Flight) -> dict[str, str]:
    """Every row of every table, as text; the bytes of mails as they read."""
    connection = await asyncpg.connect(flight.stack.info["postgres"])
    try:
        names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        tables = {row["tablename"] for row in names}
        return {
            table: "\n".join(row[0] for row in await connection.fetch(f"SELECT t::text FROM {table} t"))
            for table in sorted(tables - {"mails"})
        } | {"mails": "\n".join(row[0] for row in await connection.fetch(_MAILS))}
    finally:
        await connection.close()


_MAILS = "SELECT concat(to_jsonb(m) - 'content', convert_from(coalesce(content, ''), 'UTF8')) FROM mails m"


async def test_persons_are_in_the_contacts_and_mails_alone_and_tokens_nowhere(flight: Flight) -> None:
    tables, tokens = await stored(flight), flight.tokens
    assert any(mark.startswith("zqzqlead") for mark in marks_in(tables["contacts"]))
    for table, text in tables.items():
        if table in {"contacts", "mails"}:
            continue
        persons = [mark for mark in marks_in(text) if mark.startswith((*OF_THE_LEAD, "zqzqrep"))]
        assert (table, persons) == (table, [])
        assert (table, tokens_in(text.encode(), tokens)) == (table, set())


async def test_what_was_erased_is_nowhere(flight: Flight) -> None:
    gone = {"withdrawn", "suppressed", "lapsed"}
    erased = [request for request in flight.requests.values() if flight.stack.state(request) in gone]
    assert len(erased) >= 2
    everything = marks_in("\n".join((await stored(flight)).values()))
    for request in erased:
        assert not {f"{kind}{number_of(request)}" for kind in OF_THE_LEAD} & everything


def tokens_in(content: bytes, tokens: Iterable[str]) -> set[str]:
    return {token for token in tokens if token.encode() in content}


# ── The same lead by two partners ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def two_services(postgres_url: str, clock: HandClock) -> AsyncIterator[list[Parts]]:
    """Two services that know nothing of each other, on databases of their own, at the same time of day."""
    connection = await asyncpg.connect(postgres_url.format(database="postgres"))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(connection.close)
        built = []
        for name in ("canary_one", "canary_other"):
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE template_migrated STRATEGY wal_log")
            stack.push_async_callback(connection.execute, f"DROP DATABASE {name} WITH (FORCE)")
            parts = Parts(make_settings(postgres_url.format(database=name)), clock)
            await stack.enter_async_context(parts.database)
            built.append(parts)
        yield built


@pytest.mark.parametrize(("country", "kind"), [("DE", LetterKind.DOUBLE_OPT_IN), ("FR", LetterKind.NOTICE)])
async def test_the_same_lead_registered_by_two_partners_gets_the_same_mail(
    two_services: list[Parts], clock: HandClock, country: str, kind: LetterKind
) -> None:
    by = (
        {"partner_id": "p-1", "registered_by": "ana@one.example", "kind": "lead"},
        {"partner_id": "p-2", "kind": "deal"},
    )
    contact = {"email": "lea@firma.example", "given_name": "Lea", "family_name": "Muster"}
    mails = []
    for number, (service, partner) in enumerate(zip(two_services, by, strict=True)):
        request = {"registration_id": f"r-{number}", "contact": contact, "country": country, **partner}
        await service.registrations.register(RegistrationIn.model_validate(request))
    if kind is LetterKind.NOTICE:
        clock.pass_time(days=30)
    for number, service in enumerate(two_services):
        due = await service.sending.begin(f"r-{number}", kind)
        assert isinstance(due, StoredMail)
        assert due.mail
        mails.append(due.mail)
    one, other = (without_tokens_and_ids(mail.content.decode()) for mail in mails)
    assert one == other
    assert mails[0].content != mails[1].content
    assert [mail.envelope_to for mail in mails] == ["lea@firma.example"] * 2


def without_tokens_and_ids(content: str) -> str:
    """A mail with the soft line breaks and everything that is random taken out."""
    unfolded = content.replace("=\r\n", "")
    for pattern in (r"(?<=/confirm/)[\w-]+", r"(?<=/unsubscribe/)[\w-]+", r"(?<=/preferences/)[\w-]+"):
        unfolded = re.sub(pattern, "token", unfolded)
    unfolded = re.sub(r"(?<=Message-ID: <)[^@]+", "id", unfolded)
    return re.sub(r"=_\w+", "boundary", unfolded)
