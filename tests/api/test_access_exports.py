"""Everything held about a person, handed out over the API."""

import json
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from consentflow.domain.access import KINDS
from consentflow.domain.acts import of_key
from consentflow.domain.letters import Language
from consentflow.domain.sign_in import Door
from consentflow.domain.source_intake import DecisionIn, SourceRequestIn
from consentflow.domain.source_requests import Channel
from consentflow.operations.keys import Role
from consentflow.operations.officers import OfficerRole
from tests.api.signing_in import sign_in

if TYPE_CHECKING:
    from tests.api.conftest import Api, Json

LEA, ANA = "lea@firma.example", "ana@partner.example"


async def export(api: "Api", email: str = LEA) -> "Json":
    response = await api.call("POST", "/v1/access-exports", role=Role.OFFICER, json={"email": email})
    assert response.status_code == 200, response.text
    assert response.headers["cache-control"] == "no-store"
    document: Json = response.json()
    return document


def held(document: "Json", name: str) -> list["Json"]:
    found: list[Json] = next((each["held"] for each in document["sections"] if each["name"] == name), [])
    return found


async def in_every_role(api: "Api") -> None:
    """Lea: a lead, a subscriber, a requester, at both doors, an officer, and the registering person of somebody."""
    await api.register(registered_by=ANA)
    await api.register("r-2", registered_by=LEA, email="tom@other.example", company=None, country="US")
    await api.client.post((await api.mail_leaves())["confirm"])
    choice = {"actions": ["demo_requested"], "delivery": "daily"}
    assert (await api.call("PUT", f"/v1/partners/p-9/subscribers/{LEA}", json=choice)).status_code == 200
    given = SourceRequestIn.model_validate({"email": LEA, "name": "Lea Muster", "message": "From where?"})
    await api.parts.source_requests.open(given, Channel.FORM)
    await sign_in(api, LEA)
    await api.parts.sessions.ask(Door.CONSOLE, LEA, Language.GERMAN)
    await api.parts.officers.add(LEA, OfficerRole.OFFICER, Language.GERMAN)


async def test_everything_held_in_every_role_is_handed_out(api: "Api") -> None:
    await in_every_role(api)
    document = await export(api)
    assert [section["name"] for section in document["sections"]] == [
        name for name in KINDS if name != "company_followed"
    ]
    (contact,) = held(document, "contact")
    assert (contact["email"], contact["given_name"], contact["family_name"]) == (LEA, "Lea", "Muster")
    (registration,) = held(document, "registration")
    assert (registration["registration_id"], registration["state"]) == ("r-1", "confirmed")
    assert [fact["fact"] for fact in held(document, "fact")] == ["confirmed"]
    assert {mail["purpose"] for mail in held(document, "mail")} == {"double_opt_in", "subscription", "sign_in"}
    (subscription,) = held(document, "subscription")
    assert (subscription["partner_id"], subscription["actions"]) == ("p-9", ["demo_requested"])
    (request,) = held(document, "source_request")
    assert (request["name"], request["message"]) == ("Lea Muster", "From where?")
    assert [made["registration_id"] for made in held(document, "registration_made")] == ["r-2"]
    assert [session["door"] for session in held(document, "session")] == ["partner"]
    assert [asked["door"] for asked in held(document, "sign_in")] == ["console"]
    assert [officer["role"] for officer in held(document, "officer")] == ["officer"]
    assert "consent_given" in [entry["event"] for entry in held(document, "ledger")]
    used = {field for section in document["sections"] for each in section["held"] for field in each}
    assert set(document["labels"]) == used


async def test_a_mail_is_handed_out_with_its_dates_and_its_text_but_no_link_that_acts(api: "Api") -> None:
    await api.register()
    links = await api.mail_leaves()
    (mail,) = held(await export(api), "mail")
    assert (mail["address"], mail["state"], mail["language"]) == (LEA, "accepted", "de")
    assert (mail["frozen_at"], mail["closed_at"]) == ("2026-11-22T09:00:00+00:00",) * 2
    assert "Controller Test AG" in mail["text"]
    document = json.dumps(await export(api))
    assert [path for path in links.values() if path.rpartition("/")[2] in document] == []


async def test_who_registered_the_person_is_for_a_source_request_to_say(api: "Api") -> None:
    await api.register(partner_id="p-secret", registered_by=ANA, kind="deal", deal_reference="D-secret")
    document = json.dumps(await export(api))
    assert [secret for secret in ("p-secret", "ana@", "D-secret") if secret in document] == []
    assert "A sales partner of ours" in document


async def test_a_registering_person_is_told_what_it_registered_and_not_whom(api: "Api") -> None:
    await api.register()
    document = await export(api, ANA)
    (made,) = held(document, "registration_made")
    assert (made["registration_id"], made["partner_id"], made["company_domain"]) == ("r-1", "p-77", "firma.example")
    assert [mark for mark in (LEA, "Muster", "Lea") if mark in json.dumps(document)] == []


async def test_what_weighs_the_interests_of_others_is_not_handed_out(api: "Api") -> None:
    await api.register()
    given = SourceRequestIn.model_validate({"email": LEA})
    request_id = await api.parts.source_requests.open(given, Channel.FORM)
    refused = {"decision": "refuse", "reason": "For good reasons", "balancing": "Ana Partner would be harmed"}
    await api.parts.source_decisions.decide(request_id, DecisionIn.model_validate(refused), of_key("officer"))
    document = await export(api)
    assert held(document, "source_request")[0]["reason"] == "For good reasons"
    assert "would be harmed" not in json.dumps(document)


async def test_that_nothing_is_held_is_an_answer_too(api: "Api") -> None:
    await api.register()
    document = await export(api, "nobody@nowhere.example")
    assert (document["anything_held"], document["sections"]) == (False, [])
    assert document["information"]


async def test_each_export_is_on_record_with_who_and_of_whom(api: "Api") -> None:
    await api.register()
    document = await export(api)
    (entry,) = await api.rows("ledger WHERE event = 'exported'")
    assert (entry["subject"], entry["detail"]) == (document["subject"], {"actor": "key officer", "act": "exported"})
    again = held(await export(api), "ledger")[-1]
    assert (again["event"], again["detail"]) == ("exported", {"act": "exported"})


class Reader(HTMLParser):
    """What stands on a page, and whether anything on it runs or is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.suspicious: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "img", "link", "iframe", "form"} or any(name.startswith("on") for name, _ in attrs):
            self.suspicious.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data.strip())


async def test_a_page_for_paper_says_the_same(api: "Api") -> None:
    await in_every_role(api)
    document = await export(api)
    headers = {"Accept": "text/html"}
    response = await api.call("POST", "/v1/access-exports", json={"email": LEA}, headers=headers)
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    page = Reader()
    page.feed(response.text)
    assert page.suspicious == []
    for section in document["sections"]:
        assert section["title"] in page.text
        for each in section["held"]:
            for field, value in each.items():
                assert document["labels"][field] in page.text
                if isinstance(value, str) and "T" not in value and "\n" not in value:
                    assert value in page.text
    assert "@page" in response.text


async def test_what_people_wrote_is_shown_as_text(api: "Api") -> None:
    given = SourceRequestIn.model_validate({"email": LEA, "message": "<script>alert(1)</script> & more"})
    await api.parts.source_requests.open(given, Channel.FORM)
    headers = {"Accept": "text/html"}
    page = (await api.call("POST", "/v1/access-exports", json={"email": LEA}, headers=headers)).text
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page


@pytest.mark.parametrize("role", Role)
async def test_only_officers_and_admins_export(api: "Api", role: Role) -> None:
    response = await api.call("POST", "/v1/access-exports", role=role, json={"email": LEA})
    if role in {Role.OFFICER, Role.ADMIN}:
        assert response.status_code == 200
    else:
        api.problem(response, 403, "forbidden")
        assert await api.rows("ledger WHERE event = 'exported'") == []
