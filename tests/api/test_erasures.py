"""Erasing a person over the API: what goes, what stays, and that it is the same for everybody."""

from typing import TYPE_CHECKING

import pytest

from consentflow.domain.acts import of_key
from consentflow.domain.letters import Language, LetterKind
from consentflow.domain.sign_in import Door
from consentflow.domain.source_intake import DecisionIn, SourceRequestIn
from consentflow.domain.source_requests import Channel
from consentflow.operations.keys import Role
from consentflow.operations.officers import OfficerRole
from consentflow.operations.posting import Outcome
from tests.api.signing_in import sign_in

if TYPE_CHECKING:
    from tests.api.conftest import Api, Json
    from tests.conftest import HandClock

LEA, ANA = "lea@firma.example", "ana@partner.example"
MARKS = ("lea@", "Muster", "Firma GmbH")


async def erase(api: "Api", email: str = LEA) -> "Json":
    response = await api.call("POST", "/v1/erasures", role=Role.OFFICER, json={"email": email})
    assert response.status_code == 200, response.text
    answer: Json = response.json()
    return answer


def counted(answer: "Json") -> dict[str, int]:
    """What an erasure removed, without the kinds of which there was nothing."""
    return {kind: rows for kind, rows in answer["removed"].items() if rows}


async def asks_for_its_source(api: "Api", email: str = LEA) -> str:
    given = SourceRequestIn.model_validate({"email": email, "name": "Lea Muster", "message": "Muster asks"})
    return await api.parts.source_requests.open(given, Channel.FORM)


async def test_a_lead_is_erased_and_what_was_removed_is_counted(api: "Api") -> None:
    await api.register()
    await api.mail_leaves()
    done = await erase(api)
    assert counted(done) == {"contact": 1, "registration_texts": 1, "mail": 1, "link": 3}
    assert done["ended"] == {"registrations": 1, "source_requests": 0, "mails": 0}
    assert done["kept"] == {"officer": 0, "letter_naming_the_source": 0}
    assert done["erased_at"] == "2026-11-22T09:00:00Z"
    stored = await api.everything_stored()
    assert [mark for mark in MARKS if mark in stored] == []


@pytest.mark.parametrize("country", ["DE", "FR", "US", None])
async def test_an_open_registration_ends_suppressed_and_its_workflow_is_told(api: "Api", country: str | None) -> None:
    await api.register(country=country)
    before = (await api.show())["state"]
    await erase(api)
    after = await api.show()
    if before == "no_contact":
        assert after["state"] == "no_contact"
    else:
        assert (after["state"], after["reason"]) == ("suppressed", "erased")
        assert (await api.rows("outbox ORDER BY outbox_id DESC"))[0]["payload"]["step"] == "end"


async def test_what_was_confirmed_ends_suppressed_too(api: "Api") -> None:
    await api.register()
    links = await api.mail_leaves()
    await api.client.post(links["confirm"])
    assert (await erase(api))["ended"]["registrations"] == 1
    assert (await api.show())["state"] == "suppressed"


async def test_what_a_lead_was_told_stays_told(api: "Api", clock: "HandClock") -> None:
    await api.register(country="FR")
    clock.pass_time(days=30)
    await api.mail_leaves("r-1", LetterKind.NOTICE)
    await erase(api)
    assert (await api.show())["state"] == "notified"


async def test_whoever_was_erased_is_not_written_to_again_whoever_registers_it(api: "Api") -> None:
    await erase(api)
    again = (await api.register("r-2", partner_id="p-78")).json()
    assert (again["state"], again["reason"]) == ("suppressed", "erased")
    stored = await api.everything_stored()
    assert [mark for mark in ("lea@", "Muster") if mark in stored] == []


async def test_erasing_again_and_erasing_somebody_unknown_answer_in_the_same_shape(api: "Api") -> None:
    await api.register()
    first, again, unknown = await erase(api), await erase(api), await erase(api, "nobody@nowhere.example")
    assert set(first) == set(again) == set(unknown)
    for part in ("removed", "ended", "kept"):
        assert set(first[part]) == set(again[part]) == set(unknown[part])
    assert counted(again) == counted(unknown) == {}
    facts = await api.rows("facts WHERE fact = 'erased'", "subject")
    assert sorted(row["subject"] for row in facts) == sorted([first["subject"], unknown["subject"]])


@pytest.mark.parametrize("spelling", ["LEA@Firma.Example", " lea@firma.example "])
async def test_any_spelling_of_the_address_means_the_person(api: "Api", spelling: str) -> None:
    await api.register()
    assert counted(await erase(api, spelling))["contact"] == 1


async def test_a_person_is_erased_by_pseudonym_as_well(api: "Api") -> None:
    await api.register()
    (row,) = await api.rows("contacts WHERE email LIKE 'lea%'", "subject")
    response = await api.call("POST", "/v1/erasures", json={"subject": row["subject"]})
    assert response.status_code == 200
    assert await api.rows("contacts WHERE email LIKE 'lea%'") == []


@pytest.mark.parametrize("body", [{}, {"email": LEA, "subject": "s-" + "0" * 32}, {"email": None}])
async def test_a_request_names_one_person_in_one_way(api: "Api", body: "Json") -> None:
    response = await api.call("POST", "/v1/erasures", json=body)
    assert api.pointers(response) == {"": "email_or_subject"}


@pytest.mark.parametrize("role", Role)
async def test_only_officers_and_admins_erase(api: "Api", role: Role) -> None:
    await api.register()
    stored = await api.everything_stored()
    response = await api.call("POST", "/v1/erasures", role=role, json={"email": LEA})
    if role in {Role.OFFICER, Role.ADMIN}:
        assert response.status_code == 200
    else:
        api.problem(response, 403, "forbidden")
        assert await api.everything_stored() == stored


async def test_a_subscriber_leaves_every_partner_and_the_mails_to_it_do_not_leave(api: "Api") -> None:
    for partner in ("p-1", "p-2"):
        path = f"/v1/partners/{partner}/subscribers/{LEA}"
        assert (await api.call("PUT", path, json={"actions": "all", "delivery": "daily"})).status_code == 200
    done = await erase(api)
    assert (counted(done)["subscription"], done["ended"]["mails"]) == (2, 2)
    assert await api.rows("subscribers") == []
    for row in await api.rows("mails", "mail_id"):
        assert await api.parts.posting.begin(row["mail_id"]) is Outcome.DROPPED
    assert "lea@" not in await api.everything_stored()


async def test_an_open_request_for_the_source_ends_and_what_its_author_wrote_goes(api: "Api") -> None:
    request_id = await asks_for_its_source(api)
    done = await erase(api)
    assert (counted(done)["source_request"], done["ended"]["source_requests"]) == (1, 1)
    (row,) = await api.rows("source_requests")
    assert row["state"] == "abandoned"
    assert [row[column] for column in ("email", "name", "message")] == [None] * 3
    nudges = [each["payload"] for each in await api.rows("outbox WHERE topic = 'source_request.nudge'")]
    assert nudges == [{"request_id": request_id}]
    assert await api.parts.source_clock.advance(request_id) is None
    stored = await api.everything_stored()
    assert [mark for mark in MARKS if mark in stored] == []


async def test_whoever_asked_to_be_let_in_is_erased_in_any_spelling_and_sessions_end(api: "Api") -> None:
    await api.register(registered_by="ana.m+x@gmail.com")
    await sign_in(api, "anam@gmail.com")
    await api.parts.sessions.ask(Door.PARTNER, "a.n.a.m@googlemail.com", Language.GERMAN)
    await api.parts.sessions.ask(Door.PARTNER, "somebody@else.example", Language.GERMAN)
    done = await erase(api, "anam@gmail.com")
    assert (counted(done)["sign_in"], counted(done)["session"]) == (1, 1)
    assert [row["email"] for row in await api.rows("sign_ins")] == ["somebody@else.example"]
    assert "gmail" not in await api.everything_stored()


async def test_a_registering_person_goes_and_the_leads_it_registered_stay(api: "Api") -> None:
    await api.register()
    done = await erase(api, ANA)
    assert counted(done) == {"contact": 1}
    assert [row["email"] for row in await api.rows("contacts")] == [LEA]
    assert (await api.show())["state"] == "accepted"
    assert ANA not in await api.everything_stored()


async def test_a_letter_that_names_the_person_as_the_source_must_still_arrive_and_goes_afterwards(api: "Api") -> None:
    await api.register()
    request_id, officer = await asks_for_its_source(api), of_key("officer")
    await api.parts.source_identity.attest(request_id, "has called us", officer)
    disclose = DecisionIn.model_validate({"decision": "disclose", "balancing": "Ana of the partner has agreed"})
    await api.parts.source_decisions.decide(request_id, disclose, officer)
    first = await erase(api, ANA)
    assert (first["kept"]["letter_naming_the_source"], counted(first)["balancing_of_interests"]) == (1, 1)
    (letter,) = await api.rows("mails WHERE purpose = 'source_decision'", "mail_id, content")
    assert ANA in letter["content"].decode()
    await api.parts.posting.begin(letter["mail_id"])
    await api.parts.posting.accepted(letter["mail_id"], "2.0.0 taken")
    again = await erase(api, ANA)
    assert (again["kept"]["letter_naming_the_source"], counted(again)) == (0, {"letter_naming_the_source": 1})
    (letter,) = await api.rows("mails WHERE purpose = 'source_decision'", "content")
    assert letter["content"] is None
    assert "Ana of the partner" not in await api.everything_stored()


async def test_an_officer_stays_one_and_the_answer_says_so(api: "Api") -> None:
    await api.parts.officers.add(LEA, OfficerRole.OFFICER, Language.GERMAN)
    await api.register()
    done = await erase(api)
    assert done["kept"]["officer"] == 1
    assert [row["email"] for row in await api.rows("officers")] == [LEA]
    assert await api.rows("contacts WHERE email = 'lea@firma.example'") == []


async def test_who_erased_whom_is_on_record_and_the_record_has_no_address(api: "Api") -> None:
    await api.register()
    done = await erase(api)
    (entry,) = await api.rows("ledger WHERE event = 'erased'")
    assert entry["subject"] == done["subject"]
    assert entry["detail"] == {"actor": "key officer", "act": "erased", "contact": 1, "registration_texts": 1}
    assert (await api.parts.ledger.verify()).flaws == ()


async def test_the_registration_can_be_sent_again_and_answers_as_it_stands(api: "Api") -> None:
    await api.register()
    await erase(api)
    again = await api.register()
    assert (again.status_code, again.json()["state"]) == (200, "suppressed")
    assert "lea@" not in await api.everything_stored()
