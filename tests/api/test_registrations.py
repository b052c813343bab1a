"""Registering, correcting, withdrawing and reading registrations over HTTP."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from consentflow.domain.letters import LetterKind

if TYPE_CHECKING:
    from tests.api.conftest import Api
    from tests.conftest import HandClock


# Accepting.


async def test_a_new_registration_is_accepted_and_shown_as_a_resource(api: "Api") -> None:
    response = await api.register(registered_at="2026-11-22T09:00:00Z")
    assert response.status_code == 202
    resource = response.json()
    timeline = resource.pop("timeline")
    assert resource.pop("policy_version").startswith("default-2026-11@")
    assert resource == {
        "registration_id": "r-1",
        "kind": "lead",
        "partner_id": "p-77",
        "company_domain": "firma.example",
        "company_refusal": None,
        "country": "DE",
        "country_received": "DE",
        "regime": "double_opt_in",
        "reason": "double_opt_in_region",
        "state": "accepted",
        "registered_at": "2026-11-22T09:00:00Z",
        "due_at": "2026-11-22T09:00:00Z",
        "status": "active",
        "owned_until": "2027-05-22T09:00:00Z",
        "deal_reference": None,
    }
    assert [(entry["at"], entry["event"]) for entry in timeline] == [("2026-11-22T09:00:00Z", "decided")]
    assert await api.show() == response.json()


async def test_what_is_required_is_enough(api: "Api") -> None:
    body = {"registration_id": "r-1", "partner_id": "p-77", "contact": {"email": "lea@firma.example"}}
    response = await api.call("POST", "/v1/registrations", json=body)
    assert response.status_code == 202
    resource = response.json()
    assert (resource["kind"], resource["state"], resource["reason"]) == ("lead", "waiting", "unknown_location")
    assert (resource["company_domain"], resource["registered_at"]) == ("firma.example", "2026-11-22T09:00:00Z")


@pytest.mark.parametrize(
    ("country", "read", "regime", "state", "reason", "due_at"),
    [
        ("DE", "DE", "double_opt_in", "accepted", "double_opt_in_region", "2026-11-22T09:00:00Z"),
        ("Österreich", "AT", "double_opt_in", "accepted", "double_opt_in_region", "2026-11-22T09:00:00Z"),
        ("france", "FR", "delayed_notice", "waiting", "delayed_notice_region", "2026-12-22T09:00:00Z"),
        ("FR-974", "RE", "delayed_notice", "waiting", "delayed_notice_region", "2026-12-22T09:00:00Z"),
        ("EL", "GR", "delayed_notice", "waiting", "delayed_notice_region", "2026-12-22T09:00:00Z"),
        (None, None, "delayed_notice", "waiting", "unknown_location", "2026-12-22T09:00:00Z"),
        ("ZZ", None, "delayed_notice", "waiting", "unknown_location", "2026-12-22T09:00:00Z"),
        ("somewhere", None, "delayed_notice", "waiting", "unknown_location", "2026-12-22T09:00:00Z"),
        ("UK", "GB", "no_contact", "no_contact", "no_contact_region", None),
        ("USA", "US", "no_contact", "no_contact", "no_contact_region", None),
    ],
)
async def test_the_location_as_received_is_kept_beside_what_it_was_read_as_and_decides(
    api: "Api", country: str | None, read: str | None, regime: str, state: str, reason: str, due_at: str | None
) -> None:
    resource = (await api.register(country=country)).json()
    assert (resource["country_received"], resource["country"]) == (country, read)
    assert (resource["regime"], resource["state"], resource["reason"]) == (regime, state, reason)
    assert resource["due_at"] == due_at


async def test_a_registration_made_in_the_past_is_due_thirty_days_after_it_was_made(api: "Api") -> None:
    resource = (await api.register(country="FR", registered_at="2026-09-01T10:30:15+05:30")).json()
    assert resource["registered_at"] == "2026-09-01T05:00:15Z"
    assert resource["due_at"] == "2026-10-01T05:00:15Z"
    assert resource["state"] == "waiting"


async def test_a_deal_is_treated_as_a_lead_is(api: "Api") -> None:
    lead = (await api.register("r-1", country="FR")).json()
    deal = (await api.register("r-2", country="FR", email="max@firma.example", kind="deal")).json()
    assert deal["kind"] == "deal"
    same = ("regime", "reason", "state", "due_at", "owned_until", "status")
    assert {name: deal[name] for name in same} == {name: lead[name] for name in same}


async def test_a_clock_that_runs_a_little_ahead_is_forgiven(api: "Api") -> None:
    assert (await api.register(registered_at="2026-11-22T09:05:00Z")).status_code == 202


# Once and only once.


async def test_the_same_registration_again_answers_200_and_changes_nothing(api: "Api", clock: "HandClock") -> None:
    first = await api.register()
    stored = await api.counts()
    clock.pass_time(days=1)
    again = await api.register()
    assert (first.status_code, again.status_code) == (202, 200)
    assert again.json() == first.json()
    assert await api.counts() == stored


async def test_the_order_of_members_and_what_is_null_make_no_other_content(api: "Api") -> None:
    await api.register(country=None)
    body = dict(reversed(api.body(country=None).items())) | {"country": None, "registered_at": None}
    assert (await api.call("POST", "/v1/registrations", json=body)).status_code == 200


async def test_a_repeat_answers_with_the_registration_as_it_stands(api: "Api") -> None:
    await api.register()
    await api.withdraw()
    again = await api.register()
    assert (again.status_code, again.json()["state"]) == (200, "withdrawn")


async def test_a_repeat_is_answered_even_when_the_company_has_become_a_customer(api: "Api") -> None:
    await api.register()
    await api.set_account("firma.example", "customer")
    assert (await api.register()).status_code == 200


@pytest.mark.parametrize(
    "other",
    [
        {"partner_id": "p-78"},
        {"kind": "deal"},
        {"email": "max@firma.example"},
        {"contact": {"email": "lea@firma.example", "given_name": "Lea", "family_name": "Meister", "language": "de"}},
        {"company": {"name": "Firma GmbH", "domain": "other.example"}},
        {"country": "AT"},
        {"country": None},
        {"registered_by": "eva@partner.example"},
        {"registered_at": "2026-11-01T00:00:00Z"},
    ],
)
async def test_the_same_id_with_other_content_is_a_conflict(api: "Api", other: dict[str, Any]) -> None:
    first = (await api.register()).json()
    stored = await api.everything_stored()
    api.problem(await api.register(**other), 409, "registration_conflict")
    assert await api.everything_stored() == stored
    assert await api.show() == first


async def test_of_identical_registrations_at_the_same_time_exactly_one_is_new(api: "Api") -> None:
    answers = await asyncio.gather(*(api.register() for _ in range(12)))
    assert Counter(answer.status_code for answer in answers) == {202: 1, 200: 11}
    assert len({answer.text for answer in answers}) == 1
    counts = await api.counts()
    assert {name: counts[name] for name in ("registrations", "questions", "ownerships", "outbox")} == {
        "registrations": 1,
        "questions": 1,
        "ownerships": 1,
        "outbox": 1,
    }


async def test_of_different_registrations_with_one_id_at_the_same_time_exactly_one_is_taken(api: "Api") -> None:
    emails = [f"lea{n}@firma.example" for n in range(8)]
    answers = await asyncio.gather(*(api.register(email=email) for email in emails))
    assert Counter(answer.status_code for answer in answers) == {202: 1, 409: 7}
    refused = [answer for answer in answers if answer.status_code == 409]
    assert {answer.json()["code"] for answer in refused} == {"registration_conflict"}
    assert len(await api.rows("registrations")) == 1


async def test_of_two_partners_at_the_same_time_exactly_one_gets_the_company(api: "Api") -> None:
    answers = await asyncio.gather(
        *(api.register(f"r-{n}", partner_id=f"p-{n}", email=f"lea{n}@firma.example") for n in range(8))
    )
    assert Counter(answer.status_code for answer in answers) == {202: 1, 409: 7}
    refused = [answer for answer in answers if answer.status_code == 409]
    assert {answer.json()["code"] for answer in refused} == {"owned_by_other_partner"}


async def test_one_mailbox_registered_by_many_at_the_same_time_is_asked_one_question(api: "Api") -> None:
    spellings = ["Lea.Muster@gmail.com", "leamuster+x@gmail.com", "leamuster@googlemail.com", "LEAMUSTER@gmail.com"]
    answers = await asyncio.gather(
        *(
            api.register(f"r-{n}", partner_id=f"p-{n}", email=spelling, company=None)
            for n, spelling in enumerate(spellings)
        )
    )
    assert {answer.status_code for answer in answers} == {202}
    assert Counter(answer.json()["reason"] for answer in answers) == {"double_opt_in_region": 1, "already_asked": 3}
    assert len(await api.rows("questions")) == 1
    assert len(await api.rows("contacts", "subject, email")) == 2  # the lead and the registering person


# Companies that cannot be registered.


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("customer", "existing_customer"),
        ("in_sales_process", "active_sales_process"),
        ("owned_by_representative", "owned_by_representative"),
    ],
)
async def test_a_company_the_vendor_deals_with_itself_is_unavailable(api: "Api", status: str, code: str) -> None:
    await api.set_account("firma.example", status)
    stored = await api.everything_stored()
    api.problem(await api.register(), 409, code)
    assert await api.everything_stored() == stored
    await api.set_account("firma.example", "available")
    assert (await api.register()).status_code == 202


async def test_a_company_of_another_partner_is_unavailable_and_its_owner_is_not_told(api: "Api") -> None:
    await api.register(partner_id="p-secret", registered_by="ana@secretpartner.example")
    stored = await api.everything_stored()
    response = await api.register("r-2", partner_id="p-2", email="max@sales.firma.example", company=None)
    api.problem(response, 409, "owned_by_other_partner")
    assert "secret" not in response.text
    assert "firma" not in response.text
    assert await api.everything_stored() == stored


async def test_a_partner_registers_many_contacts_of_its_company(api: "Api") -> None:
    await api.register("r-1")
    response = await api.register("r-2", email="max@firma.example", company={"domain": "https://WWW.firma.example/x"})
    assert response.status_code == 202
    assert response.json()["company_domain"] == "firma.example"


# Ownership.


async def test_ownership_lasts_six_calendar_months_from_acceptance(api: "Api", clock: "HandClock") -> None:
    clock.at = datetime(2026, 8, 31, 12, 0, tzinfo=UTC)
    resource = (await api.register(registered_at="2026-08-01T00:00:00Z")).json()
    assert resource["owned_until"] == "2027-02-28T12:00:00Z"


async def test_ownership_ends_to_the_second_and_then_anyone_may_register(api: "Api", clock: "HandClock") -> None:
    await api.register("r-1", country="US")
    clock.at = datetime(2027, 5, 22, 8, 59, 59, tzinfo=UTC)
    api.problem(await api.register("r-2", partner_id="p-2", country="US"), 409, "owned_by_other_partner")
    clock.pass_time(seconds=1)
    assert (await api.show("r-1"))["owned_until"] is None
    assert (await api.register("r-2", partner_id="p-2", country="US")).json()["owned_until"] == "2027-11-22T09:00:00Z"
    assert (await api.show("r-1"))["owned_until"] is None
    api.problem(await api.register("r-3", country="US"), 409, "owned_by_other_partner")


async def test_the_same_partner_renews_its_ownership_by_registering_again(api: "Api", clock: "HandClock") -> None:
    await api.register("r-1")
    clock.at = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
    assert (await api.register("r-2", email="max@firma.example")).json()["owned_until"] == "2027-09-01T09:00:00Z"
    assert (await api.show("r-1"))["owned_until"] == "2027-09-01T09:00:00Z"
    clock.at = datetime(2027, 6, 1, 9, 0, tzinfo=UTC)
    api.problem(await api.register("r-3", partner_id="p-2"), 409, "owned_by_other_partner")


async def test_a_repeat_renews_nothing(api: "Api", clock: "HandClock") -> None:
    await api.register()
    clock.pass_time(days=100)
    assert (await api.register()).json()["owned_until"] == "2027-05-22T09:00:00Z"


@pytest.mark.parametrize(
    ("email", "company", "refusal"),
    [
        ("lea@gmail.com", None, "public_mail_provider"),
        ("lea@gmx.de", None, "public_mail_provider"),
        ("lea@firma.example", {"domain": "web.de"}, "public_mail_provider"),
        ("lea@mailinator.com", None, "disposable_domain"),
        ("lea@firma.example", {"domain": "co.uk"}, "public_suffix"),
        ("lea@firma.example", {"domain": "192.0.2.1"}, "ip_literal"),
        ("lea@firma.example", {"domain": "localhost"}, "single_label"),
        ("lea@firma.example", {"domain": "Firma GmbH & Co. KG"}, "invalid_domain"),
    ],
)
async def test_what_nobody_can_own_is_not_owned_and_the_registration_runs_all_the_same(
    api: "Api", email: str, company: dict[str, str] | None, refusal: str
) -> None:
    for number in (1, 2):
        response = await api.register(f"r-{number}", partner_id=f"p-{number}", email=email, company=company)
        resource = response.json()
        assert response.status_code == 202
        assert (resource["state"], resource["due_at"] is None) == ("accepted", number == 2)
        assert (resource["company_domain"], resource["company_refusal"]) == (None, refusal)
        assert resource["owned_until"] is None
    assert await api.rows("ownerships") == []


async def test_a_web_address_that_is_long_names_its_company_all_the_same(api: "Api") -> None:
    address = f"https://www.firma.example/{'x' * 240}"
    assert (await api.register(company={"domain": address})).json()["company_domain"] == "firma.example"


# Expiry.


@pytest.mark.parametrize(
    ("registered", "expires"),
    [
        ("2026-11-22T09:00:00Z", "2027-11-22T09:00:00Z"),
        ("2026-03-01T00:00:00Z", "2027-03-01T00:00:00Z"),
        ("2024-02-29T10:00:00Z", "2025-02-28T10:00:00Z"),
    ],
)
async def test_a_registration_expires_one_calendar_year_after_it_was_made(
    api: "Api", clock: "HandClock", registered: str, expires: str
) -> None:
    clock.at = datetime.fromisoformat(registered)
    await api.register(country="US", registered_at=registered)
    clock.at = datetime.fromisoformat(expires) - timedelta(seconds=1)
    assert (await api.show())["status"] == "active"
    clock.pass_time(seconds=1)
    assert (await api.show())["status"] == "expired"


async def test_the_contact_of_an_expired_registration_may_be_registered_again(api: "Api", clock: "HandClock") -> None:
    await api.register("r-1", country="US")
    clock.at = datetime(2027, 11, 22, 9, 0, tzinfo=UTC)
    again = await api.register("r-2", partner_id="p-2", country="US")
    assert (again.status_code, again.json()["status"]) == (202, "active")
    assert (await api.show("r-1"))["status"] == "expired"


# Correcting the location.


@pytest.mark.parametrize(
    ("before", "after", "regime", "state", "reason", "due_at"),
    [
        (None, "DE", "double_opt_in", "accepted", "double_opt_in_region", "2026-11-24T09:00:00Z"),
        (None, "US", "no_contact", "no_contact", "no_contact_region", None),
        (None, "FR", "delayed_notice", "waiting", "delayed_notice_region", "2026-12-22T09:00:00Z"),
        ("FR", None, "delayed_notice", "waiting", "unknown_location", "2026-12-22T09:00:00Z"),
        ("FR", "IT", "delayed_notice", "waiting", "delayed_notice_region", "2026-12-22T09:00:00Z"),
        ("US", "DE", "double_opt_in", "accepted", "double_opt_in_region", "2026-11-24T09:00:00Z"),
        ("US", "FR", "delayed_notice", "waiting", "delayed_notice_region", "2026-12-22T09:00:00Z"),
        ("US", None, "delayed_notice", "waiting", "unknown_location", "2026-12-22T09:00:00Z"),
        ("DE", "US", "no_contact", "no_contact", "no_contact_region", None),
        ("DE", "FR", "delayed_notice", "waiting", "delayed_notice_region", "2026-12-22T09:00:00Z"),
        ("DE", "AT", "double_opt_in", "accepted", "double_opt_in_region", "2026-11-22T09:00:00Z"),
    ],
)
async def test_a_corrected_location_leads_to_a_fresh_decision(
    api: "Api",
    clock: "HandClock",
    before: str | None,
    after: str | None,
    regime: str,
    state: str,
    reason: str,
    due_at: str | None,
) -> None:
    await api.register(country=before)
    clock.pass_time(days=2)
    response = await api.correct("r-1", after)
    assert response.status_code == 200
    resource = response.json()
    assert (resource["country"], resource["country_received"]) == (after, after)
    assert (resource["regime"], resource["state"], resource["reason"]) == (regime, state, reason)
    assert resource["due_at"] == due_at
    assert "location_corrected" in [entry["event"] for entry in resource["timeline"]]
    assert await api.show() == resource


async def test_the_same_location_again_leaves_no_trace(api: "Api") -> None:
    before = (await api.register()).json()
    stored = await api.everything_stored()
    assert (await api.correct("r-1", "DE")).json() == before
    assert await api.everything_stored() == stored


async def test_a_correction_to_dach_asks_even_whoever_had_read_the_privacy_policy(api: "Api") -> None:
    await api.happened("contact.privacy_policy_read")
    assert (await api.register(country="FR")).json()["state"] == "satisfied"
    resource = (await api.correct("r-1", "DE")).json()
    assert (resource["state"], resource["reason"]) == ("accepted", "double_opt_in_region")


async def test_a_correction_out_of_dach_before_the_question_left_takes_the_question_back(api: "Api") -> None:
    await api.register()
    await api.correct("r-1", "FR")
    assert [row["outcome"] for row in await api.rows("questions")] == ["dropped"]
    assert (await api.correct("r-1", "DE")).json()["state"] == "accepted"
    assert sorted(str(row["outcome"]) for row in await api.rows("questions")) == ["None", "dropped"]


async def test_a_correction_after_the_question_left_changes_nothing_that_was_sent(api: "Api") -> None:
    await api.register()
    await api.mail_leaves()
    resource = (await api.correct("r-1", "FR")).json()
    assert (resource["country"], resource["regime"], resource["state"]) == (
        "FR",
        "double_opt_in",
        "awaiting_confirmation",
    )
    assert len(await api.rows("mails")) == 1


async def test_a_registration_that_has_come_to_its_end_can_be_neither_corrected_nor_withdrawn(
    api: "Api", clock: "HandClock"
) -> None:
    await api.happened("contact.opted_in", "confirmed@one.example")
    await api.happened("contact.objected", "suppressed@two.example")
    await api.register("confirmed", email="confirmed@one.example", company=None)
    await api.register("suppressed", email="suppressed@two.example", company=None)
    await api.register("notified", email="notified@three.example", company=None, country="FR")
    await api.register("lapsed", email="lapsed@four.example", company=None)
    await api.mail_leaves("lapsed")
    clock.pass_time(days=30)
    await api.mail_leaves("notified", LetterKind.NOTICE)
    await api.parts.sending.lapse("lapsed")
    stored = await api.everything_stored()
    for state in ("confirmed", "suppressed", "notified", "lapsed"):
        assert (await api.show(state))["state"] == state
        api.problem(await api.correct(state, "US"), 409, "registration_closed")
        api.problem(await api.withdraw(state), 409, "registration_closed")
    assert await api.everything_stored() == stored


async def test_a_withdrawn_registration_cannot_be_corrected(api: "Api") -> None:
    await api.register()
    await api.withdraw()
    api.problem(await api.correct("r-1", "FR"), 409, "registration_closed")


# Withdrawing.


@pytest.mark.parametrize("country", ["DE", "FR", "US", None])
async def test_withdrawing_twice_is_withdrawing_once(api: "Api", clock: "HandClock", country: str | None) -> None:
    await api.register(country=country)
    first = await api.withdraw()
    stored = await api.everything_stored()
    clock.pass_time(days=1)
    again = await api.withdraw()
    assert (first.status_code, first.json()["state"]) == (200, "withdrawn")
    assert again.json()["state"] == "withdrawn"
    assert again.json()["timeline"] == first.json()["timeline"]
    assert await api.everything_stored() == stored


async def test_the_contact_goes_with_the_last_registration_that_needs_it(api: "Api") -> None:
    async def emails() -> set[str]:
        return {row["email"] for row in await api.rows("contacts")} - {"ana@partner.example"}

    await api.register("r-1", country="FR")
    await api.register("r-2", country="FR")
    await api.withdraw("r-1")
    assert await emails() == {"lea@firma.example"}
    await api.withdraw("r-2")
    assert await emails() == set()


async def test_nothing_personal_is_left_anywhere_once_the_last_registration_is_withdrawn(api: "Api") -> None:
    await api.register(registered_by=None)
    await api.mail_leaves()
    await api.withdraw()
    left = (await api.everything_stored()).lower()
    assert {mark for mark in ("lea@", "muster", b"lea@".hex(), b"muster".hex()) if mark in left} == set()


async def test_withdrawing_frees_the_company_with_the_partners_last_registration_of_it(api: "Api") -> None:
    await api.register("r-1")
    await api.register("r-2", email="max@firma.example")
    await api.withdraw("r-1")
    api.problem(await api.register("r-3", partner_id="p-2"), 409, "owned_by_other_partner")
    assert (await api.withdraw("r-2")).json()["owned_until"] is None
    assert (await api.register("r-3", partner_id="p-2")).status_code == 202


async def test_whoever_joined_the_question_of_a_withdrawn_registration_asks_it(api: "Api") -> None:
    await api.register("r-1")
    await api.register("r-2")
    await api.withdraw("r-1")
    resource = await api.show("r-2")
    assert (resource["state"], resource["reason"], resource["due_at"]) == (
        "accepted",
        "double_opt_in_region",
        "2026-11-22T09:00:00Z",
    )
    assert await api.mail_leaves("r-2")


async def test_a_question_that_left_stays_open_for_those_who_joined_it(api: "Api") -> None:
    await api.register("r-1")
    await api.register("r-2")
    links = await api.mail_leaves("r-1")
    assert (await api.show("r-2"))["state"] == "awaiting_confirmation"
    await api.withdraw("r-1")
    assert (await api.client.post(links["confirm"])).status_code == 200
    assert ((await api.show("r-1"))["state"], (await api.show("r-2"))["state"]) == ("withdrawn", "confirmed")


async def test_a_company_registered_while_its_partner_withdraws_another_contact_keeps_its_owner(api: "Api") -> None:
    await api.register("r-0", country="US")
    for number in range(10):
        kept, _ = await asyncio.gather(
            api.register(f"r-{number + 1}", email=f"lea{number}@firma.example", country="US"),
            api.withdraw(f"r-{number}"),
        )
        assert kept.status_code == 202
        assert (await api.show(f"r-{number + 1}"))["owned_until"] is not None


# Reading, and what is not there.


async def test_what_was_never_registered_is_not_found(api: "Api") -> None:
    stored = await api.everything_stored()
    for response in (
        await api.call("GET", "/v1/registrations/r-none"),
        await api.correct("r-none", "DE"),
        await api.withdraw("r-none"),
    ):
        api.problem(response, 404, "not_found")
        assert "r-none" not in response.text
    assert await api.everything_stored() == stored


@pytest.mark.parametrize("given", ["lea@firma.example", "x" * 65, "r%201", "%00", "r-1%0a", "%ff", "%F0%9F%98%80"])
async def test_what_can_be_no_registration_id_is_refused(api: "Api", given: str) -> None:
    response = await api.call("GET", f"/v1/registrations/{given}")
    assert set(api.pointers(response)) == {"/registration_id"}
    assert "firma" not in response.text


async def test_no_resource_tells_the_contact_or_who_registered_it(api: "Api") -> None:
    response = await api.register()
    await api.mail_leaves()
    told = response.text + str(await api.show())
    assert {mark for mark in ("lea@", "Lea", "Muster", "ana@", "partner.example") if mark in told} == set()


async def test_personal_data_is_kept_in_one_table(api: "Api") -> None:
    await api.register()
    await api.happened("contact.form_submitted")
    await api.correct("r-1", "FR")
    elsewhere = await api.everything_stored(without="contacts")
    assert {mark for mark in ("lea@", "Lea", "Muster", "ana@", "partner.example") if mark in elsewhere} == set()


async def test_the_address_of_the_registering_person_is_kept_as_mail_is_sent(api: "Api") -> None:
    await api.register(registered_by=" ana@müller.example ")
    assert "ana@xn--mller-kva.example" in {row["email"] for row in await api.rows("contacts")}


async def test_every_change_of_course_is_written_for_temporal_without_personal_data(api: "Api") -> None:
    await api.register(country="FR")
    await api.correct("r-1", "DE")
    await api.withdraw()
    messages = [(row["topic"], row["payload"]) for row in await api.rows("outbox ORDER BY outbox_id")]
    assert [(topic, payload["step"]) for topic, payload in messages] == [
        ("registration.start", "send_notice"),
        ("registration.steer", "send_double_opt_in"),
        ("registration.steer", "end"),
    ]
    assert [payload["revision"] for _, payload in messages] == [1, 2, 3]
    assert {name for _, payload in messages for name in payload} == {
        "registration_id",
        "kind",
        "regime",
        "revision",
        "step",
        "at",
    }
