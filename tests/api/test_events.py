"""What the vendor's site tells: consent events that move registrations, and everything that does not."""

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from consentflow.domain.letters import LetterKind
from consentflow.domain.registrations import Course, Step
from consentflow.operations.keys import Role

if TYPE_CHECKING:
    from tests.api.conftest import Api
    from tests.conftest import HandClock

CONSENT = ["contact.opted_in", "contact.email_verified"]
INFORMED = ["contact.form_submitted", "contact.content_downloaded", "contact.privacy_policy_read"]
STOP = ["contact.objected", "contact.unsubscribed"]
COMPANY_ACTIONS = ["company.pricing_viewed", "company.content_viewed", "company.purchased"]
BOTH = ["company.trial_requested", "company.demo_requested", "company.content_downloaded"]

# What an event leads to, by country: the state and the reason.
TABLE = [
    *((event, "DE", "confirmed", "already_confirmed") for event in CONSENT),
    *((event, "FR", "satisfied", "already_informed") for event in CONSENT),
    *((event, None, "satisfied", "already_informed") for event in CONSENT),
    *((event, "US", "no_contact", "no_contact_region") for event in CONSENT),
    *((event, "DE", "accepted", "double_opt_in_region") for event in (*INFORMED, *BOTH)),
    *((event, "FR", "satisfied", "already_informed") for event in (*INFORMED, *BOTH)),
    *((event, None, "satisfied", "already_informed") for event in (*INFORMED, *BOTH)),
    *((event, "US", "no_contact", "no_contact_region") for event in (*INFORMED, *BOTH)),
    *((event, country, "suppressed", "objected") for event in STOP for country in ("DE", "FR", None)),
]


@pytest.mark.parametrize(("event", "country", "state", "reason"), TABLE)
async def test_an_event_moves_an_open_registration_as_the_policy_says(
    api: "Api", event: str, country: str | None, state: str, reason: str
) -> None:
    await api.register(country=country)
    await api.happened(event)
    resource = await api.show()
    assert (resource["state"], resource["reason"]) == (state, reason)
    assert (resource["due_at"] is None) is (state not in {"accepted", "waiting"})


@pytest.mark.parametrize(
    ("event", "country", "state", "reason"), [*TABLE, ("contact.objected", "US", "suppressed", "objected")]
)
async def test_an_event_that_came_before_the_registration_counts_as_much(
    api: "Api", event: str, country: str | None, state: str, reason: str
) -> None:
    await api.happened(event)
    resource = (await api.register(country=country)).json()
    assert (resource["state"], resource["reason"]) == (state, reason)


@pytest.mark.parametrize("country", ["DE", "FR", "US", None])
async def test_an_objection_erases_the_contact_and_no_later_registration_stores_it_again(
    api: "Api", country: str | None
) -> None:
    await api.register(country=country, registered_by=None)
    assert len(await api.rows("contacts")) == 1
    await api.happened("contact.objected")
    assert await api.rows("contacts") == []
    later = (await api.register("r-2", country=country, registered_by=None)).json()
    assert (later["state"], later["reason"], later["due_at"]) == ("suppressed", "objected", None)
    assert await api.rows("contacts") == []


async def test_an_objection_stands_whatever_else_happens_before_or_after(api: "Api") -> None:
    await api.register(country="FR")
    await api.tell(api.event("contact.opted_in"), api.event("contact.objected"), api.event("contact.form_submitted"))
    await api.happened("contact.opted_in")
    assert (await api.show())["state"] == "suppressed"
    assert (await api.register("r-2")).json()["state"] == "suppressed"


@pytest.mark.parametrize(
    ("event", "state"),
    [
        *((event, "confirmed") for event in CONSENT),
        *((event, "awaiting_confirmation") for event in INFORMED),
        *((event, "suppressed") for event in STOP),
    ],
)
async def test_an_event_while_the_question_is_open_answers_it_or_leaves_it_open_for_all_who_share_it(
    api: "Api", event: str, state: str
) -> None:
    await api.register("r-1")
    await api.register("r-2")
    await api.mail_leaves("r-1")
    await api.happened(event)
    assert [(await api.show(each))["state"] for each in ("r-1", "r-2")] == [state, state]


@pytest.mark.parametrize("event", [*CONSENT, *INFORMED])
async def test_an_event_that_arrives_after_the_notice_left_is_recorded_and_changes_nothing_else(
    api: "Api", clock: "HandClock", event: str
) -> None:
    await api.register(country="FR")
    clock.pass_time(days=30)
    await api.mail_leaves("r-1", LetterKind.NOTICE)
    before = await api.show()
    told = await api.tell(api.event(event, time="2026-12-01T00:00:00Z"))
    assert told.json() == {"accepted": 1, "duplicate": 0, "unmatched": 0}
    assert before["state"] == "notified"
    assert await api.show() == before
    assert event.removeprefix("contact.") in {row["fact"] for row in await api.rows("facts")}


async def test_an_event_on_the_last_second_still_stops_the_notice(api: "Api", clock: "HandClock") -> None:
    await api.register(country="FR")
    clock.pass_time(days=30)
    await api.happened("contact.form_submitted")
    assert (await api.show())["state"] == "satisfied"
    course = await api.parts.sending.begin("r-1", LetterKind.NOTICE)
    assert isinstance(course, Course)
    assert course.step is Step.END
    assert await api.rows("mails") == []


async def test_an_event_of_another_spelling_of_the_mailbox_counts(api: "Api") -> None:
    await api.register(email="lea.muster@gmail.com", company=None)
    await api.happened("contact.opted_in", "LeaMuster+news@googlemail.com")
    assert (await api.show())["state"] == "confirmed"


async def test_an_event_of_another_mailbox_does_not_count(api: "Api") -> None:
    before = (await api.register()).json()
    await api.happened("contact.opted_in", "max@firma.example")
    assert await api.show() == before


# Once and only once.


async def test_a_repeated_event_changes_nothing(api: "Api") -> None:
    event = api.event("contact.form_submitted")
    await api.tell(event)
    stored = await api.everything_stored()
    assert (await api.tell(event)).json() == {"accepted": 0, "duplicate": 1, "unmatched": 0}
    assert (await api.tell(event | {"type": "contact.objected"})).json()["duplicate"] == 1
    assert await api.everything_stored() == stored


async def test_source_and_id_together_tell_a_repeat(api: "Api") -> None:
    event = api.event("contact.form_submitted")
    answer = await api.tell(event, event | {"source": "shop"}, event | {"id": "another"}, event)
    assert answer.json() == {"accepted": 3, "duplicate": 1, "unmatched": 0}


async def test_of_identical_events_at_the_same_time_exactly_one_counts(api: "Api") -> None:
    event = api.event("contact.form_submitted")
    answers = await asyncio.gather(*(api.tell(event) for _ in range(10)))
    assert Counter(answer.text for answer in answers).most_common()[0][1] == 9
    assert sum(answer.json()["accepted"] for answer in answers) == 1
    assert len(await api.rows("facts")) == 1


async def test_batches_that_share_mailboxes_in_any_order_do_not_block_each_other(api: "Api") -> None:
    emails = [f"lea{n}@firma.example" for n in range(10)]
    batches = [[api.event("contact.form_submitted", email) for email in order] for order in (emails, emails[::-1]) * 4]
    answers = await asyncio.gather(*(api.tell(*batch) for batch in batches))
    assert [answer.json() for answer in answers] == [{"accepted": 10, "duplicate": 0, "unmatched": 0}] * 8


async def test_a_registration_and_its_event_at_the_same_time_end_the_same_whoever_comes_first(api: "Api") -> None:
    for number in range(6):
        email = f"lea{number}@firma.example"
        await asyncio.gather(
            api.register(f"r-{number}", email=email, country="FR"),
            api.tell(api.event("contact.form_submitted", email)),
        )
        assert (await api.show(f"r-{number}"))["state"] == "satisfied"


# What matches nothing.


@pytest.mark.parametrize("kind", ["contact.unheard_of", "com.example.other", "CONTACT.OPTED_IN"])
async def test_an_unknown_type_matches_nothing(api: "Api", kind: str) -> None:
    await api.register()
    stored = await api.everything_stored()
    response = await api.tell(api.event(kind))
    assert (response.status_code, response.json()) == (202, {"accepted": 0, "duplicate": 0, "unmatched": 1})
    assert await api.everything_stored() == stored


async def test_a_consent_event_without_an_address_matches_nothing(api: "Api") -> None:
    assert (await api.tell(api.event("contact.opted_in", None))).json()["unmatched"] == 1
    event = api.event("contact.opted_in")
    del event["data"]
    assert (await api.tell(event)).json()["unmatched"] == 1


@pytest.mark.parametrize("kind", COMPANY_ACTIONS)
async def test_a_company_action_says_nothing_about_the_contact_and_its_address_is_not_stored(
    api: "Api", kind: str
) -> None:
    before = (await api.register(country="FR", registered_by=None, email="max@firma.example")).json()
    event = api.event(kind, data={"email": "lea@firma.example", "domain": "firma.example"})
    assert (await api.tell(event)).status_code == 202
    assert await api.show() == before
    assert await api.rows("facts") == []
    assert "lea@" not in await api.everything_stored()


@pytest.mark.parametrize("kind", BOTH)
async def test_what_a_person_does_by_a_form_is_on_record_of_the_person_and_of_the_company(
    api: "Api", kind: str
) -> None:
    await api.register(registered_by=None, email="max@firma.example")
    await api.happened(kind, "lea@firma.example")
    fact = "content_downloaded" if kind == "company.content_downloaded" else "form_submitted"
    assert [row["fact"] for row in await api.rows("facts")] == [fact]
    actions = await api.rows("company_actions", "domain, action, count")
    assert actions == [{"domain": "firma.example", "action": kind.removeprefix("company."), "count": 1}]
    assert "lea@" not in await api.everything_stored()


async def test_the_address_of_an_event_is_not_stored(api: "Api") -> None:
    await api.happened("contact.form_submitted", "stranger@elsewhere.example")
    assert "stranger" not in await api.everything_stored()


# The envelope.


async def test_a_batch_counts_what_became_of_its_events(api: "Api") -> None:
    event = api.event("contact.opted_in")
    response = await api.tell(event, event, api.event("contact.unheard_of"), api.event("contact.opted_in", None))
    assert (response.status_code, response.json()) == (202, {"accepted": 1, "duplicate": 1, "unmatched": 2})


async def test_an_empty_batch_is_fine(api: "Api") -> None:
    assert (await api.tell()).json() == {"accepted": 0, "duplicate": 0, "unmatched": 0}


async def test_attributes_and_data_that_we_do_not_know_are_the_senders_business(api: "Api") -> None:
    more = {"subject": "x", "datacontenttype": "application/json", "traceparent": "00-ab-cd-01", "dataschema": "x:y"}
    event = api.event("contact.opted_in", data={"email": "lea@firma.example", "page": {"title": "Preise"}}, **more)
    assert (await api.tell(event)).json()["accepted"] == 1


async def test_a_tracker_may_tell_events(api: "Api") -> None:
    response = await api.call("POST", "/v1/events", json=api.event("contact.opted_in"), role=Role.TRACKER)
    assert response.status_code == 202


async def test_as_many_as_a_thousand_events_come_at_once(api: "Api") -> None:
    events = [api.event("company.pricing_viewed", None) for _ in range(1001)]
    assert (await api.tell(*events[:1000])).status_code == 202
    stored = await api.everything_stored()
    api.problem(await api.tell(*events), 413, "too_many")
    assert await api.everything_stored() == stored


@pytest.mark.parametrize(
    ("changes", "member"),
    [
        ({"specversion": "0.3"}, "/specversion"),
        ({"specversion": 1.0}, "/specversion"),
        ({"id": ""}, "/id"),
        ({"id": 7}, "/id"),
        ({"id": "a\nb"}, "/id"),
        ({"id": "x" * 513}, "/id"),
        ({"source": None}, "/source"),
        ({"source": "a\x00b"}, "/source"),
        ({"type": ["contact.opted_in"]}, "/type"),
        ({"time": "yesterday"}, "/time"),
        ({"time": "2026-11-22T09:00:00"}, "/time"),
        ({"time": 1795338000}, "/time"),
        ({"time": "0001-01-01T00:00:00Z"}, "/time"),
        ({"time": "9999-12-31T23:59:59-01:00"}, "/time"),
        ({"data": "lea@firma.example"}, "/data"),
        ({"data": None}, "/data"),
        ({"data": {"email": "secret"}}, "/data/email"),
        ({"data": {"email": 7}}, "/data/email"),
        ({"data": {"email": ["lea@firma.example"]}}, "/data/email"),
        ({"data": {"email": "secret@example.com\r\nBcc: x@y.example"}}, "/data/email"),
        ({"data": {"domain": {}}}, "/data/domain"),
        ({"data": {"occurred_at": "soon"}}, "/data/occurred_at"),
        ({"time": "2026-11-22T09:05:01Z"}, "/time"),
        ({"time": "9999-01-01T00:00:00Z"}, "/time"),
        ({"data": {"email": "lea@firma.example", "occurred_at": "2026-11-23T00:00:00Z"}}, "/data/occurred_at"),
    ],
)
async def test_a_malformed_event_is_refused_with_its_whole_batch_and_the_member_is_named(
    api: "Api", changes: dict[str, Any], member: str
) -> None:
    await api.register(country="FR")
    stored = await api.everything_stored()
    bad = api.event("contact.opted_in", **changes)
    single = await api.tell(bad)
    assert set(api.pointers(single, 400, "malformed_event")) == {member}
    batch = await api.tell(api.event("contact.opted_in"), bad, api.event("contact.opted_in"))
    assert set(api.pointers(batch, 400, "malformed_event")) == {f"/1{member}"}
    assert "secret" not in single.text + batch.text
    assert "yesterday" not in single.text + batch.text
    assert await api.everything_stored() == stored


@pytest.mark.parametrize("missing", ["specversion", "id", "source", "type"])
async def test_what_cloudevents_requires_is_required(api: "Api", missing: str) -> None:
    event = api.event("contact.opted_in")
    del event[missing]
    assert api.pointers(await api.tell(event), 400, "malformed_event") == {f"/{missing}": "missing"}


@pytest.mark.parametrize("body", [b"", b"{", b"[", b'"x', b"\xff\xfe", b'{"id": "\\ud800"}', b"nope", b"[" * 100_000])
async def test_what_is_no_json_is_refused(api: "Api", body: bytes) -> None:
    response = await api.call(
        "POST", "/v1/events", content=body, headers={"Content-Type": "application/cloudevents+json"}
    )
    api.problem(response, 400, "malformed_json")


@pytest.mark.parametrize("body", [b"null", b"7", b'"x"', b"true", b"[[]]", b"[null]"])
async def test_json_that_is_no_event_is_refused(api: "Api", body: bytes) -> None:
    response = await api.call(
        "POST", "/v1/events", content=body, headers={"Content-Type": "application/cloudevents+json"}
    )
    api.problem(response, 400, "malformed_event")
