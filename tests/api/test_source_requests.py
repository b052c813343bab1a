"""Data-source requests as officers meet them: taken, shown, extended, paused, decided once, answered by one letter."""

import asyncio
import re
from collections import Counter
from datetime import timedelta
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

import pytest

from consentflow.domain.acts import of_key
from consentflow.domain.errors import RequestNotReady
from consentflow.domain.letters import Language
from consentflow.domain.source_intake import PauseIn, SourceRequestIn
from consentflow.domain.source_requests import Channel
from consentflow.operations.keys import Role
from consentflow.operations.officers import OfficerRole
from consentflow.operations.posting import NotYet
from consentflow.runtime import Parts
from tests.conftest import make_settings

if TYPE_CHECKING:
    import httpx

    from tests.api.conftest import Api, Json
    from tests.conftest import HandClock

PATH = "/v1/data-source-requests"
REASON = "Whoever registered you objects to being named; we weighed both."


class Requests:
    """What an officer does about requests, and what a worker does for them."""

    def __init__(self, api: "Api") -> None:
        self.api = api

    async def enter(self, email: str = "lea@firma.example", **more: Any) -> "Json":  # noqa: ANN401 - a body
        answer = await self.api.call("POST", PATH, json={"email": email, **more}, role=Role.OFFICER)
        assert answer.status_code == 201, answer.text
        resource: Json = answer.json()
        assert answer.headers["location"] == f"{PATH}/{resource['id']}"
        return resource

    async def by_form(self, email: str = "lea@firma.example", **more: str) -> str:
        """Sends the public form; returns the id of the request it made."""
        before = {row["request_id"] for row in await self.api.rows("source_requests", "request_id")}
        assert (await self.api.client.post("/source-request", data={"email": email, **more})).status_code == 200
        (made,) = {row["request_id"] for row in await self.api.rows("source_requests", "request_id")} - before
        return str(made)

    async def works(self, request_id: str) -> None:
        """Does what is due, as the worker would."""
        await self.api.parts.source_clock.advance(request_id)

    async def confirmed(self, email: str = "lea@firma.example", **more: Any) -> str:  # noqa: ANN401 - a body
        """A request whose requester has pressed the button."""
        request_id: str = (await self.enter(email, **more))["id"]
        await self.works(request_id)
        assert (await self.api.client.post(await self.link(request_id))).status_code == 200
        return request_id

    async def link(self, request_id: str) -> str:
        found = re.search(r"/identity/[\w-]{22}", (await self.mail("source_identity", request_id))["text"])
        assert found
        return found[0]

    async def show(self, request_id: str) -> "Json":
        answer = await self.api.call("GET", f"{PATH}/{request_id}", role=Role.OFFICER)
        assert answer.status_code == 200, answer.text
        resource: Json = answer.json()
        return resource

    async def do(self, request_id: str, what: str, **body: Any) -> "httpx.Response":  # noqa: ANN401 - a body
        return await self.api.call("POST", f"{PATH}/{request_id}/{what}", json=body, role=Role.OFFICER)

    async def mails(self, purpose: str | None = None) -> list["Json"]:
        """What was written so far, oldest first: to whom, about what, and what it says."""
        rows = await self.api.rows("mails ORDER BY frozen_at, purpose DESC", "purpose, about, envelope_to, content")
        return [row | _read(row["content"]) for row in rows if purpose in {None, row["purpose"]}]

    async def mail(self, purpose: str, request_id: str) -> "Json":
        (found,) = [mail for mail in await self.mails(purpose) if request_id in mail["about"]]
        return found

    async def page(self, query: str = "") -> tuple[list[str], str | None]:
        answer = await self.api.call("GET", f"{PATH}?{query}", role=Role.OFFICER)
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["requests"]], answer.json()["after"]


def _read(content: bytes) -> "Json":
    message = message_from_bytes(content, policy=policy.default)
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text
    assert html
    return {
        "subject": str(message["Subject"]),
        "text": " ".join(str(text.get_content()).split()),
        "html": str(html.get_content()),
    }


@pytest.fixture
def requests(api: "Api") -> Requests:
    return Requests(api)


class TestTaking:
    async def test_a_request_is_shown_with_its_deadlines_as_instants_and_days(
        self, requests: Requests, clock: "HandClock"
    ) -> None:
        clock.pass_time(days=3)
        resource = await requests.enter(
            name="Lea Muster", message="From whom?", country="Deutschland", language="de-AT"
        )
        expected = {
            "state": "received",
            "received_at": "2026-11-25T09:00:00Z",
            "target": "2026-12-25T22:59:59Z",
            "target_date": "2026-12-25",
            "deadline": "2026-12-28T22:59:59Z",
            "deadline_date": "2026-12-28",
            "extended": False,
            "linked_to": None,
            "overdue": False,
            "channel": "api",
            "language": "de",
            "country": "DE",
            "email": "lea@firma.example",
            "name": "Lea Muster",
            "message": "From whom?",
            "registrations": [],
        }
        assert {name: resource[name] for name in expected} == expected
        assert [entry["event"] for entry in resource["timeline"]] == ["source_request_opened"]
        assert await requests.show(resource["id"]) == resource

    async def test_the_clock_counts_from_receipt(self, requests: Requests) -> None:
        resource = await requests.enter(received_at="2026-11-02T23:30:00+01:00")
        assert (resource["received_at"], resource["deadline_date"]) == ("2026-11-02T22:30:00Z", "2026-12-02")

    async def test_nothing_is_received_in_the_future(self, requests: Requests) -> None:
        body = {"email": "lea@firma.example", "received_at": "2026-11-22T09:06:00Z"}
        answer = await requests.api.call("POST", PATH, json=body)
        assert requests.api.pointers(answer) == {"/received_at": "in_the_future"}
        skewed = await requests.enter(received_at="2026-11-22T09:04:00Z")
        assert skewed["received_at"] == "2026-11-22T09:00:00Z"

    @pytest.mark.parametrize("body", [{}, {"email": "lea"}, {"email": "lea@firma.example", "message": "x" * 4001}])
    async def test_what_cannot_be_read_is_refused_and_not_repeated(self, requests: Requests, body: "Json") -> None:
        answer = await requests.api.call("POST", PATH, json=body)
        assert len(requests.api.pointers(answer)) == 1
        assert "lea" not in answer.text

    @pytest.mark.parametrize(("role", "status"), [(None, 401), (Role.REGISTRAR, 403), (Role.TRACKER, 403)])
    async def test_only_officers_come_near(self, requests: Requests, role: Role | None, status: int) -> None:
        known = (await requests.enter())["id"]
        stored = await requests.api.everything_stored()
        for method, path in (
            ("POST", ""),
            ("GET", ""),
            ("GET", f"/{known}"),
            ("GET", f"/{known}/letter"),
            *(
                ("POST", f"/{known}/{what}")
                for what in ("decision", "letter", "extension", "pause", "resume", "identity")
            ),
        ):
            body = {"email": "a@b.example", "decision": "not_found", "reason": "x"} if method == "POST" else None
            answer = await requests.api.call(method, PATH + path, role=role, json=body)
            assert answer.status_code == status, path
            assert "lea@" not in answer.text
        assert await requests.api.everything_stored() == stored

    async def test_an_unknown_request_is_not_found(self, requests: Requests) -> None:
        requests.api.problem(await requests.api.call("GET", f"{PATH}/sr-0123456789ab"), 404, "not_found")
        for what, body in (("decision", {"decision": "refuse", "reason": "x"}), ("extension", {"reason": "x"})):
            requests.api.problem(await requests.do("sr-0123456789ab", what, **body), 404, "not_found")


class TestIdentity:
    async def test_receipt_and_link_go_to_the_address_alone_and_repeat_nothing_that_was_typed(
        self, requests: Requests
    ) -> None:
        request_id = await requests.by_form(name="Eve <eve@evil.example>", message="Buy at evil.example")
        await requests.works(request_id)
        assert (await requests.show(request_id))["state"] == "identity_pending"
        mails = await requests.mails()
        assert [mail["purpose"] for mail in mails] == ["source_receipt", "source_identity"]
        assert {mail["envelope_to"] for mail in mails} == {"lea@firma.example"}
        assert "evil" not in "".join(mail["text"] + mail["html"] for mail in mails)
        assert "22 December 2026" in mails[0]["text"]
        assert [row["topic"] for row in await requests.api.rows("outbox ORDER BY outbox_id")] == [
            "source_request.start",
            "mail.send",
            "mail.send",
        ]
        await requests.works(request_id)
        assert len(await requests.mails()) == 2

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    async def test_looking_at_the_link_changes_nothing(self, requests: Requests, method: str) -> None:
        request_id = (await requests.enter())["id"]
        await requests.works(request_id)
        link = await requests.link(request_id)
        stored = await requests.api.everything_stored()
        for _ in range(3):
            answer = await requests.api.client.request(method, link)
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
        assert await requests.api.everything_stored() == stored

    async def test_the_button_confirms_once_and_is_friendly_ever_after(self, requests: Requests) -> None:
        request_id = (await requests.enter())["id"]
        await requests.works(request_id)
        link = await requests.link(request_id)
        question = (await requests.api.client.get(link)).text
        assert "<button" in question
        assert "lea@" not in question
        first = await requests.api.client.post(link)
        shown = await requests.show(request_id)
        assert (shown["state"], shown["identity_confirmed_at"]) == ("in_review", "2026-11-22T09:00:00Z")
        stored = await requests.api.everything_stored()
        answers = await asyncio.gather(*(requests.api.client.post(link) for _ in range(4)))
        assert {answer.text for answer in answers} == {first.text} == {(await requests.api.client.get(link)).text}
        assert await requests.api.everything_stored() == stored

    async def test_a_guessed_or_foreign_link_says_and_does_nothing(self, requests: Requests) -> None:
        await requests.api.register()
        foreign = (await requests.api.mail_leaves())["unsubscribe"].replace("unsubscribe", "identity")
        stored = await requests.api.everything_stored()
        for link in ("/identity/AAAAAAAAAAAAAAAAAAAAAA", "/identity/%00", foreign):
            for method in ("GET", "HEAD", "POST"):
                assert (await requests.api.client.request(method, link)).status_code == 404
        assert await requests.api.everything_stored() == stored

    async def test_an_officer_can_vouch_for_the_requester_with_a_reason(self, requests: Requests) -> None:
        request_id = (await requests.enter())["id"]
        await requests.works(request_id)
        shown = (await requests.do(request_id, "identity", reason="Wrote to us from this very address.")).json()
        assert (shown["state"], shown["identity_note"]) == ("in_review", "Wrote to us from this very address.")
        again = await requests.do(request_id, "identity", reason="x")
        requests.api.problem(again, 409, "already_confirmed")

    async def test_a_link_to_a_closed_request_cannot_be_used(self, requests: Requests) -> None:
        request_id = (await requests.enter())["id"]
        await requests.works(request_id)
        link = await requests.link(request_id)
        await requests.do(request_id, "decision", decision="not_found", reason="")
        assert (await requests.api.client.get(link)).status_code == 404
        assert (await requests.api.client.post(link)).status_code == 404


class TestDecisions:
    async def test_officers_see_who_registered_the_person_whatever_became_of_it(self, requests: Requests) -> None:
        await requests.api.register("r-1", partner_id="p-77")
        await requests.api.register("r-2", kind="deal", partner_id="p-77", registered_by=None)
        await requests.api.withdraw("r-2")
        await requests.api.register("r-3", email="other@firma.example")
        partner = {"name": "Nordlicht Vertrieb GmbH", "language": "de", "timezone": "Europe/Berlin"}
        assert (await requests.api.call("PUT", "/v1/partners/p-77", json=partner)).status_code == 200
        found = (await requests.enter("LEA@firma.example"))["registrations"]
        assert [
            {name: each[name] for name in ("registration_id", "kind", "partner_name", "registered_by", "state")}
            for each in found
        ] == [
            {
                "registration_id": "r-1",
                "kind": "lead",
                "partner_name": "Nordlicht Vertrieb GmbH",
                "registered_by": "ana@partner.example",
                "state": "accepted",
            },
            {
                "registration_id": "r-2",
                "kind": "deal",
                "partner_name": "Nordlicht Vertrieb GmbH",
                "registered_by": None,
                "state": "withdrawn",
            },
        ]

    async def test_disclosing_names_partner_and_person_in_a_letter_that_is_kept(self, requests: Requests) -> None:
        await requests.api.register()
        request_id = await requests.confirmed(language="en")
        answer = await requests.do(request_id, "decision", decision="disclose", reason="", balancing="No objection.")
        shown = answer.json()
        assert answer.status_code == 200, answer.text
        assert (shown["state"], shown["decision"], shown["extent"]) == ("disclosed", "disclose", "person")
        assert (shown["decided_by"], shown["balancing"]) == ("key officer", "No objection.")
        letter = await requests.mail("source_decision", request_id)
        assert letter["envelope_to"] == "lea@firma.example"
        for part in (letter["text"], letter["html"]):
            for told in ("p-77", "ana@partner.example", "22 November 2026", "Test Authority", "Art. 16"):
                assert told in part, told
        sent = (await requests.api.call("GET", f"{PATH}/{request_id}/letter")).json()
        assert (sent["to"], sent["subject"]) == ("lea@firma.example", letter["subject"])
        assert "ana@partner.example" in sent["text"]
        assert "ana@partner.example" in sent["html"]

    @pytest.mark.parametrize(("extent", "named"), [(None, True), ("partner", True), ("category", False)])
    async def test_disclosing_in_part_never_names_the_person_and_tells_why(
        self, requests: Requests, extent: str | None, *, named: bool
    ) -> None:
        await requests.api.register()
        request_id = await requests.confirmed(language="en")
        body = {"decision": "partly", "reason": REASON} | ({"extent": extent} if extent else {})
        shown = (await requests.do(request_id, "decision", **body)).json()
        assert (shown["state"], shown["extent"]) == ("partly_disclosed", extent or "partner")
        letter = await requests.mail("source_decision", request_id)
        for part in (letter["text"], letter["html"]):
            assert ("p-77" in part) is named
            assert "ana@" not in part
            for told in (REASON, "Art. 77", "Test Authority", "Art. 79"):
                assert told in part, told

    async def test_refusing_names_reasons_authority_and_court_and_no_partner(self, requests: Requests) -> None:
        await requests.api.register()
        request_id = await requests.confirmed(language="en", country="CH")
        shown = (await requests.do(request_id, "decision", decision="refuse", reason=REASON)).json()
        assert shown["state"] == "refused"
        letter = await requests.mail("source_decision", request_id)
        for told in (REASON, "Art. 77", "Test Authority", "Art. 79", "FDPIC", "Art. 32 FADP"):
            assert told in letter["text"], told
        assert {mark for mark in ("p-77", "ana@", "partner") if mark in letter["text"]} == set()

    @pytest.mark.parametrize("decision", ["partly", "refuse"])
    async def test_what_is_withheld_needs_a_reason(self, requests: Requests, decision: str) -> None:
        await requests.api.register()
        request_id = await requests.confirmed()
        for blank in ({}, {"reason": " \n "}, {"reason": None}):
            answer = await requests.do(request_id, "decision", decision=decision, **blank)
            assert requests.api.pointers(answer) == {"/reason": "missing"}
        assert (await requests.show(request_id))["state"] == "in_review"

    @pytest.mark.parametrize(
        ("decision", "extent"), [("disclose", "partner"), ("partly", "person"), ("refuse", "category")]
    )
    async def test_an_extent_that_does_not_fit_is_refused(self, requests: Requests, decision: str, extent: str) -> None:
        await requests.api.register()
        request_id = await requests.confirmed()
        answer = await requests.do(request_id, "decision", decision=decision, extent=extent, reason="x")
        assert requests.api.pointers(answer) == {"/extent": "does_not_fit"}

    async def test_an_address_we_never_held_gets_an_honest_answer(self, requests: Requests) -> None:
        request_id = await requests.confirmed("nobody@nowhere.example", language="en")
        requests.api.problem(
            await requests.do(request_id, "decision", decision="disclose", reason=""), 409, "nothing_found"
        )
        shown = (await requests.do(request_id, "decision", decision="not_found", reason="")).json()
        assert shown["state"] == "not_found"
        assert (
            "no sales partner of ours has registered it" in (await requests.mail("source_decision", request_id))["text"]
        )

    async def test_nobody_is_told_that_nothing_is_held_while_something_is(self, requests: Requests) -> None:
        await requests.api.register()
        request_id = await requests.confirmed()
        answer = await requests.do(request_id, "decision", decision="not_found", reason="")
        requests.api.problem(answer, 409, "registrations_found")

    async def test_nothing_is_disclosed_before_the_requester_has_confirmed(self, requests: Requests) -> None:
        await requests.api.register()
        request_id = (await requests.enter())["id"]
        await requests.works(request_id)
        for decision in ("disclose", "partly"):
            answer = await requests.do(request_id, "decision", decision=decision, reason="x")
            requests.api.problem(answer, 409, "identity_not_confirmed")
        assert await requests.mails("source_decision") == []

    async def test_of_two_officers_at_once_the_second_hears_of_the_first(self, requests: Requests) -> None:
        await requests.api.register()
        request_id = await requests.confirmed()
        answers = await asyncio.gather(
            requests.do(request_id, "decision", decision="disclose", reason=""),
            requests.do(request_id, "decision", decision="refuse", reason="x"),
        )
        assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 1}
        (late,) = [answer for answer in answers if answer.status_code == 409]
        requests.api.problem(late, 409, "already_decided")
        assert len(await requests.mails("source_decision")) == 1

    async def test_a_decision_on_what_has_changed_since_it_was_looked_at_is_refused(self, requests: Requests) -> None:
        await requests.api.register()
        request_id = await requests.confirmed()
        seen = (await requests.show(request_id))["version"]
        await requests.do(request_id, "extension", reason="x")
        answer = await requests.do(request_id, "decision", decision="disclose", reason="", version=seen)
        requests.api.problem(answer, 409, "changed_meanwhile")
        answer = await requests.do(request_id, "decision", decision="disclose", reason="", version=seen + 1)
        assert answer.status_code == 200

    @pytest.mark.parametrize("decision", ["disclose", "partly", "refuse"])
    async def test_a_letter_is_looked_at_before_it_is_sent(self, requests: Requests, decision: str) -> None:
        await requests.api.register()
        request_id = await requests.confirmed(language="en")
        counts = await requests.api.counts()
        blank = (await requests.api.call("GET", f"{PATH}/{request_id}/letter?decision={decision}")).json()
        with_reason = (await requests.do(request_id, "letter", decision=decision, reason=REASON)).json()
        assert (REASON in " ".join(with_reason["text"].split())) is (decision != "disclose")
        assert "lea@firma.example" in blank["text"]
        assert blank["html"].startswith("<!doctype html>" if "<!doctype" in blank["html"] else "<!DOCTYPE")
        after = await requests.api.counts()
        assert after.pop("ledger") >= counts.pop("ledger")
        assert after == counts
        requests.api.problem(await requests.api.call("GET", f"{PATH}/{request_id}/letter"), 404, "not_found")
        await requests.do(request_id, "decision", decision=decision, reason=REASON)
        assert (await requests.mail("source_decision", request_id))["text"] == " ".join(with_reason["text"].split())

    async def test_the_ledger_names_who_decided_and_no_person(self, requests: Requests) -> None:
        await requests.api.register()
        request_id = await requests.confirmed(name="Lea Muster", message="Von wem?")
        await requests.do(request_id, "extension", reason="A secret reason")
        await requests.do(request_id, "decision", decision="partly", reason=REASON, balancing="A secret note")
        entries = [row for row in await requests.api.rows("ledger ORDER BY entry_id") if row["subject"]]
        told = {row["event"]: row["detail"] for row in entries}
        assert told["source_decided"]["actor"] == told["source_request_extended"]["actor"] == "key officer"
        assert told["source_decided"]["decision"] == "partly"
        text = str(entries)
        marks = ("lea@", "Lea", "Muster", "Von wem", "secret", "objects", "ana@")
        assert {mark for mark in marks if mark in text} == set()
        acts = (await requests.api.call("GET", "/v1/audit?act=decided")).json()["acts"]
        assert [act["event"] for act in acts] == ["source_decided", "source_request_extended"]

    async def test_that_an_officer_looked_at_the_source_is_on_record(self, requests: Requests) -> None:
        request_id = (await requests.enter())["id"]
        await requests.show(request_id)
        viewed = [row["detail"] for row in await requests.api.rows("ledger") if row["event"] == "viewed"]
        assert viewed == [{"act": "viewed", "actor": "key officer", "what": "source_request"}]


class TestTheClock:
    async def test_one_extension_with_reasons_is_told_to_the_person(self, requests: Requests) -> None:
        request_id = await requests.confirmed(language="en")
        shown = (await requests.do(request_id, "extension", reason="Many registrations to look at.")).json()
        assert (shown["state"], shown["extended"], shown["deadline_date"]) == ("extended", True, "2027-02-22")
        assert shown["extension_reason"] == "Many registrations to look at."
        notice = await requests.mail("source_extension", request_id)
        assert notice["envelope_to"] == "lea@firma.example"
        for told in ("Many registrations to look at.", "22 December 2026", "22 February 2027"):
            assert told in notice["text"], told
        requests.api.problem(await requests.do(request_id, "extension", reason="x"), 409, "already_extended")
        assert requests.api.pointers(await requests.do(request_id, "extension", reason=" ")) == {"/reason": "blank"}

    async def test_no_extension_after_the_first_deadline(self, requests: Requests, clock: "HandClock") -> None:
        request_id = await requests.confirmed()
        clock.pass_time(days=31)
        requests.api.problem(await requests.do(request_id, "extension", reason="x"), 409, "deadline_passed")
        assert await requests.mails("source_extension") == []

    async def test_a_pause_is_shown_with_and_without_it_and_ends_when_switched_off(
        self, requests: Requests, clock: "HandClock"
    ) -> None:
        request_id = await requests.confirmed()
        clock.pass_time(days=2)
        shown = (
            await requests.do(request_id, "pause", reason="Asked for a copy.", until="2026-12-04T09:00:00Z")
        ).json()
        assert (shown["deadline_date"], shown["pause"]["reason"]) == ("2027-01-04", "Asked for a copy.")
        assert shown["pause"]["without_it"] == {"deadline": "2026-12-22T22:59:59Z", "deadline_date": "2026-12-22"}
        clock.pass_time(days=3)
        resumed = (await requests.do(request_id, "resume")).json()
        assert (resumed["deadline_date"], resumed["pause"]["until"]) == ("2026-12-28", "2026-11-27T09:00:00Z")
        requests.api.problem(await requests.do(request_id, "resume"), 409, "not_paused")
        requests.api.problem(await requests.do(request_id, "pause", reason="x"), 409, "already_paused")
        events = [entry["event"] for entry in (await requests.show(request_id))["timeline"]]
        assert events[-2:] == ["source_request_paused", "source_request_resumed"]

    @pytest.mark.parametrize("until", ["2026-11-22T09:00:00Z", "2026-11-21T00:00:00Z", "2026-12-22T09:00:01Z"])
    async def test_a_pause_ends_within_thirty_days(self, requests: Requests, until: str) -> None:
        request_id = await requests.confirmed()
        answer = await requests.do(request_id, "pause", reason="x", until=until)
        assert requests.api.pointers(answer) == {"/until": "out_of_range"}

    async def test_officers_or_else_the_data_protection_officer_are_reminded_without_personal_data(
        self, requests: Requests, clock: "HandClock"
    ) -> None:
        request_id = await requests.confirmed()
        clock.pass_time(days=16)
        await requests.works(request_id)
        (to_dpo,) = await requests.mails("officer_reminder")
        assert to_dpo["envelope_to"] == "dpo@controller.example"
        assert f"/console/requests/{request_id}" in to_dpo["text"]
        assert "Days left: 14" in to_dpo["text"]
        assert "lea" not in to_dpo["text"].lower()
        for address, language in (
            ("uma@controller.example", Language.GERMAN),
            ("li@controller.example", Language.FRENCH),
        ):
            await requests.api.parts.officers.add(address, OfficerRole.OFFICER, language)
        clock.pass_time(days=7)
        await requests.works(request_id)
        await requests.works(request_id)
        reminders = (await requests.mails("officer_reminder"))[1:]
        assert {(mail["envelope_to"], mail["subject"].split()[0]) for mail in reminders} == {
            ("uma@controller.example", "Anfrage"),
            ("li@controller.example", "Demande"),
        }
        assert len(reminders) == 2

    async def test_after_a_long_silence_of_ours_one_reminder_catches_up(
        self, requests: Requests, clock: "HandClock"
    ) -> None:
        request_id = (await requests.enter())["id"]
        clock.pass_time(days=29)  # no worker ran: neither the receipt left nor a reminder
        await requests.works(request_id)
        assert await requests.mails("officer_reminder") == []  # its readers are locked at the next look
        assert len(await requests.mails()) == 2
        await requests.works(request_id)
        await requests.works(request_id)
        (reminder,) = await requests.mails("officer_reminder")
        assert "Days left: 1" in reminder["text"]

    async def test_what_is_overdue_shows_in_list_resource_and_metric(
        self, requests: Requests, clock: "HandClock"
    ) -> None:
        request_id = await requests.confirmed()
        await requests.api.register()
        clock.pass_time(days=30, hours=13, minutes=59)
        assert await requests.page("overdue=true") == ([], None)
        clock.pass_time(minutes=1)
        assert (await requests.show(request_id))["overdue"] is True
        assert await requests.page("overdue=true") == ([request_id], None)
        assert "consentflow_source_requests_overdue 1.0" in (await requests.api.client.get("/metrics")).text
        await requests.do(request_id, "decision", decision="disclose", reason="")
        assert await requests.page("overdue=true") == ([], None)
        assert "consentflow_source_requests_overdue 0.0" in (await requests.api.client.get("/metrics")).text

    async def test_nobody_confirming_ends_it_at_the_deadline_with_an_honest_letter(
        self, requests: Requests, clock: "HandClock"
    ) -> None:
        request_id = await requests.by_form()
        await requests.works(request_id)
        link = await requests.link(request_id)
        clock.at = clock.at.replace(month=12, hour=22, minute=59, second=59)
        await requests.works(request_id)
        assert (await requests.show(request_id))["state"] == "identity_pending"
        clock.pass_time(seconds=1)
        await requests.works(request_id)
        shown = await requests.show(request_id)
        assert (shown["state"], shown["decision"], shown["closed_at"]) == ("abandoned", None, "2026-12-22T23:00:00Z")
        assert "Nobody has confirmed" in (await requests.mail("source_decision", request_id))["text"]
        assert (await requests.api.client.post(link)).status_code == 404
        requests.api.problem(
            await requests.do(request_id, "decision", decision="refuse", reason="x"), 409, "request_closed"
        )


class TestRepeating:
    async def test_what_repeats_an_open_request_is_linked_and_answered_by_the_same_letter(
        self, requests: Requests, clock: "HandClock"
    ) -> None:
        await requests.api.register()
        first = await requests.confirmed(language="en")
        clock.pass_time(days=2)
        second = await requests.enter("Lea@Firma.Example")
        assert (second["linked_to"], second["deadline_date"]) == (first, "2026-12-24")
        await requests.works(second["id"])
        assert (await requests.show(second["id"]))["state"] == "in_review"
        assert (await requests.show(first))["repeated_by"] == [second["id"]]
        await requests.do(first, "decision", decision="disclose", reason="")
        assert {(await requests.show(each))["state"] for each in (first, second["id"])} == {"disclosed"}
        (letter,) = await requests.mails("source_decision")
        assert "With this letter we also answer your request of 24 November 2026." in letter["text"]
        assert (await requests.api.call("GET", f"{PATH}/{second['id']}/letter")).status_code == 200
        third = await requests.enter()
        assert third["linked_to"] is None

    async def test_what_repeats_another_can_be_decided_by_itself(self, requests: Requests) -> None:
        await requests.api.register()
        first = await requests.confirmed()
        second = (await requests.enter())["id"]
        await requests.works(second)
        await requests.do(second, "decision", decision="refuse", reason="It repeats an open request.")
        assert (await requests.show(first))["state"] == "in_review"
        await requests.do(first, "decision", decision="disclose", reason="")
        assert (await requests.show(second))["state"] == "refused"
        assert len(await requests.mails("source_decision")) == 2

    async def test_one_press_of_the_button_speaks_for_all_of_them(self, requests: Requests) -> None:
        first, second = [(await requests.enter())["id"] for _ in range(2)]
        for each in (first, second):
            await requests.works(each)
        await requests.api.client.post(await requests.link(second))
        assert {(await requests.show(each))["state"] for each in (first, second)} == {"in_review"}

    async def test_an_extension_extends_all_of_them_and_is_told_once(self, requests: Requests) -> None:
        first = await requests.confirmed()
        second = (await requests.enter())["id"]
        await requests.works(second)
        await requests.do(first, "extension", reason="x")
        assert (await requests.show(second))["extended"]
        assert len(await requests.mails("source_extension")) == 1

    async def test_nobody_can_flood_a_mailbox_by_the_form(self, requests: Requests, clock: "HandClock") -> None:
        made = [await requests.by_form() for _ in range(5)]
        for each in made:
            await requests.works(each)
        assert len(await requests.mails()) == 2
        clock.pass_time(days=1, seconds=1)
        later = await requests.by_form()
        await requests.works(later)
        assert len(await requests.mails()) == 4
        clock.pass_time(days=60)
        for each in (*made, later):
            await requests.works(each)
        assert {(await requests.show(each))["state"] for each in made} == {"abandoned"}
        assert len(await requests.mails("source_decision")) == 2
        assert await requests.mails("officer_reminder") == []

    async def test_what_repeated_an_abandoned_request_goes_on_by_itself(
        self, requests: Requests, clock: "HandClock"
    ) -> None:
        first = await requests.by_form()
        await requests.works(first)
        clock.pass_time(days=20)
        second = await requests.by_form()
        await requests.works(second)
        clock.pass_time(days=11)
        await requests.works(first)
        assert (await requests.show(first))["state"] == "abandoned"
        assert (await requests.show(second))["linked_to"] is None
        await requests.api.client.post(await requests.link(second))
        await requests.works(second)
        assert (await requests.show(second))["state"] == "in_review"
        assert await requests.page("state=in_review") == ([second], None)
        clock.pass_time(days=6)
        await requests.works(second)
        assert len(await requests.mails("officer_reminder")) == 1


class TestLists:
    async def test_requests_are_listed_by_deadline_page_by_page_and_name_nobody(
        self, requests: Requests, clock: "HandClock"
    ) -> None:
        made = []
        for number in range(5):
            made.append(await requests.enter(f"lea{number}@firma.example", name="Lea"))
            clock.pass_time(days=1)
        listed, after = await requests.page("most=2")
        while after:
            more, after = await requests.page(f"most=2&after={after}")
            listed += more
        assert listed == [each["id"] for each in sorted(made, key=lambda each: (each["deadline"], each["id"]))]
        answer = await requests.api.call("GET", PATH)
        assert {mark for mark in ("lea", "Lea", "firma") if mark in answer.text} == set()

    async def test_lists_are_filtered_by_state_and_deadline(self, requests: Requests) -> None:
        new = (await requests.enter("a@firma.example"))["id"]
        early = (await requests.enter("b@firma.example", received_at="2026-11-03T09:00:00Z"))["id"]
        reviewed = await requests.confirmed("c@firma.example")
        assert (await requests.page("state=received"))[0] == [early, new]
        assert (await requests.page("state=in_review&state=extended"))[0] == [reviewed]
        assert (await requests.page("due_before=2026-12-10T00:00:00Z"))[0] == [early]
        assert (await requests.page("state=disclosed"))[0] == []
        answer = await requests.api.call("GET", f"{PATH}?state=lost")
        assert answer.status_code == 422

    @pytest.mark.parametrize("mark", ["x", "%FF", "AAAA"])
    async def test_a_forged_mark_is_refused(self, requests: Requests, mark: str) -> None:
        assert (await requests.api.call("GET", f"{PATH}?after={mark}")).status_code == 422


async def test_pauses_can_be_switched_off(database_url: str, clock: "HandClock") -> None:
    parts = Parts(make_settings(database_url, source_requests={"pauses": False}), clock)
    async with parts.database:
        request_id = await parts.source_requests.open(SourceRequestIn(email="lea@firma.example"), Channel.API)
        with pytest.raises(RequestNotReady) as refusal:
            await parts.source_decisions.pause(request_id, PauseIn(reason="x"), of_key("officer"))
    assert refusal.value.code == "pauses_switched_off"


async def test_a_worker_that_is_early_by_our_clock_is_told_to_wait(requests: Requests, clock: "HandClock") -> None:
    request_id = (await requests.enter())["id"]
    due = await requests.api.parts.source_clock.advance(request_id)
    assert due
    clock.at = due - timedelta(hours=3)
    with pytest.raises(NotYet) as early:
        await requests.api.parts.source_clock.advance(request_id, due)
    assert early.value.wait == timedelta(hours=3)
