"""What the ledger says of one person: receipts, raw entries, a page for paper, the commands."""

import asyncio
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner

from consentflow.cli import app
from consentflow.domain.errors import InvalidInput, NotFound
from consentflow.domain.events import CloudEvent
from consentflow.domain.evidence import BEGINNING
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.letters import LetterKind
from consentflow.operations.consent import LinkState
from consentflow.pages.evidence import render_evidence
from consentflow.runtime import Parts
from consentflow.storage.mails import StoredMail
from tests.conftest import CONTROLLER, HandClock

ADDRESS = "lea@firma.example"

HASH = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
INSTANT = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00$"}
PROOF = {"ledger:entry": {"type": "integer", "minimum": 1}, "ledger:entryHash": HASH}
STATUS = {
    "type": "object",
    "required": ["@type", "dpv:isIndicatedAtTime", "dpv:isExercisedAt", "dpv:isIndicatedBy", *PROOF],
    "properties": {
        "@type": {
            "type": "array",
            "minItems": 1,
            "items": {"pattern": "^dpv:Consent(Requested|Given|RequestDeferred|Refused|Withdrawn)$"},
        },
        "dpv:isIndicatedAtTime": INSTANT,
        "dpv:isExercisedAt": {"type": "string", "minLength": 1},
        "dpv:isIndicatedBy": {"enum": ["ledger:controller", "ledger:subject"]},
        **PROOF,
    },
    "additionalProperties": False,
}
PROCESS = {
    "type": "object",
    "required": [
        "dpv:hasPurpose",
        "dpv:hasPersonalData",
        "dpv:hasProcessing",
        "dpv:hasDataController",
        "dpv:hasDataSource",
        "dpv:hasLegalBasis",
        "dpv:hasConsentControl",
        "dpv:hasConsentStatus",
    ],
    "additionalProperties": {"type": "array", "minItems": 1},
    "properties": {"dpv:hasConsentStatus": {"type": "array", "minItems": 1, "items": STATUS}},
}
NOTICE = {
    "type": "object",
    "required": ["@type", "dpv:hasIdentifier"],
    "properties": {"@type": {"enum": [["dpv:ConsentNotice"], ["dpv:PrivacyNotice"]]}},
}
RECORD = {
    "type": "object",
    "required": ["@type", "dpv:hasIdentifier", "dct:created", "dct:creator", "dpv:hasDataSubject", "dpv:hasEntity"],
    "properties": {
        "@type": {"const": "dpv:ConsentRecord"},
        "dct:created": INSTANT,
        "dct:language": {"type": ["string", "null"], "pattern": "^[a-z]{2}$"},
        "dpv:hasDataSubject": {
            "required": ["@type", "dpv:hasIdentifier"],
            "properties": {"dpv:hasIdentifier": {"pattern": "^s-[0-9a-f]{32}$"}},
        },
        "dpv:hasNotice": {"type": "array", "minItems": 1, "items": NOTICE},
        "dpv:hasProcess": {"type": "array", "minItems": 1, "items": PROCESS},
        "dpv:hasEntity": {
            "required": ["ledger:controller"],
            "properties": {
                "ledger:controller": {
                    "required": ["dpv:hasName", "dpv:hasAddress", "dpv:hasContact", "dpv:hasAuthority"]
                }
            },
        },
        "ledger:linkFetched": {
            "type": "array",
            "items": {"required": ["dct:date", *PROOF], "properties": {"dct:date": INSTANT, **PROOF}},
        },
    },
}
RECEIPT = Draft202012Validator(
    {
        "type": "object",
        "required": ["@context", "@type", "dct:identifier", "dct:conformsTo", "dct:created", "dpv:hasRecordOfActivity"],
        "properties": {
            "@context": {"required": ["dpv", "dct"], "additionalProperties": {"type": "string"}},
            "@type": {"const": "dpv:ConsentReceipt"},
            "dct:conformsTo": {"const": "dpv-27560:receipt"},
            "dct:created": INSTANT,
            "dpv:hasRecordOfActivity": RECORD,
        },
    }
)


@dataclass
class Story:
    """One lead's way through the service."""

    parts: Parts
    clock: HandClock

    async def registers(self, registration_id: str = "r-1", **changes: object) -> None:
        body = {"registration_id": registration_id, "partner_id": "p-1", "contact": {"email": ADDRESS}, "country": "DE"}
        await self.parts.registrations.register(RegistrationIn.model_validate(body | changes))

    async def gets_the_mail(
        self, registration_id: str = "r-1", kind: LetterKind = LetterKind.DOUBLE_OPT_IN
    ) -> dict[str, str]:
        mail = await self.parts.sending.begin(registration_id, kind)
        assert isinstance(mail, StoredMail)
        assert mail.mail
        await self.parts.sending.accepted(mail.mail_id, "2.0.0 taken")
        found = re.findall(rb"/(confirm|preferences|unsubscribe)/([\w-]{22})", mail.mail.content)
        return {purpose.decode(): token.decode() for purpose, token in found}

    async def tells(self, kind: str) -> None:
        event = {"specversion": "1.0", "id": kind, "source": "/site", "type": kind, "data": {"email": ADDRESS}}
        await self.parts.events.record([CloudEvent.model_validate(event)])

    async def confirms(self) -> dict[str, str]:
        await self.registers()
        links = await self.gets_the_mail()
        self.clock.pass_time(hours=2)
        await self.parts.consent.fetch(links["confirm"])
        self.clock.pass_time(minutes=1)
        link = await self.parts.consent.confirm(links["confirm"])
        assert link.state is LinkState.DONE
        return links

    async def receipts(self) -> list[dict[str, Any]]:
        receipts = (await self.parts.ledger.export(ADDRESS)).receipts()
        for receipt in receipts:
            RECEIPT.validate(json.loads(json.dumps(receipt)))
        return receipts

    async def statuses(self) -> list[list[str]]:
        """Per receipt, what became of the request."""
        return [
            [status["@type"][0] for process in record(receipt)["dpv:hasProcess"] for status in statuses_of(process)]
            for receipt in await self.receipts()
        ]


def record(receipt: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = receipt["dpv:hasRecordOfActivity"]
    return found


def statuses_of(process: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = process["dpv:hasConsentStatus"]
    return found


@pytest.fixture
def story(parts: Parts, clock: HandClock) -> Story:
    return Story(parts, clock)


async def test_a_receipt_says_what_was_asked_of_whom_when_and_how_it_was_answered(story: Story) -> None:
    await story.confirms()
    (receipt,) = await story.receipts()
    found = record(receipt)
    (process,) = found["dpv:hasProcess"]
    requested, given = statuses_of(process)
    assert (requested["@type"], given["@type"]) == (["dpv:ConsentRequested"], ["dpv:ConsentGiven"])
    assert requested["dpv:isIndicatedAtTime"] == "2026-11-22T09:00:00+00:00"
    assert given["dpv:isIndicatedAtTime"] == "2026-11-22T11:01:00+00:00"
    assert (given["dpv:isExercisedAt"], given["dpv:isIndicatedBy"]) == ("button", "ledger:subject")
    assert [fetch["dct:date"] for fetch in found["ledger:linkFetched"]] == ["2026-11-22T11:00:00+00:00"]
    asked, privacy = found["dpv:hasNotice"]
    async with story.parts.database.transaction() as connection:
        version = await connection.fetchval("SELECT text_version FROM mails")
        question = await connection.fetchval("SELECT question_id FROM questions")
    assert (asked["dpv:hasIdentifier"], asked["dct:language"]) == (f"sha256:{version}", "de")
    assert privacy["dpv:hasIdentifier"] == CONTROLLER["privacy_policy_version"]
    assert found["dpv:hasIdentifier"] == str(question)
    assert found["ledger:registration"] == ["r-1"]
    assert found["ledger:decisionPolicyVersion"] == story.parts.policy.version
    assert found["dpv:hasEntity"]["ledger:controller"]["dpv:hasName"] == CONTROLLER["name"]
    assert ADDRESS not in json.dumps(receipt)


async def test_the_entry_of_a_consent_names_question_mail_wording_language_and_the_button(story: Story) -> None:
    await story.confirms()
    export = await story.parts.ledger.export(ADDRESS)
    details = {entry.event: json.loads(entry.detail) for entry in export.entries}
    async with story.parts.database.transaction() as connection:
        mail = await connection.fetchrow("SELECT mail_id, question_id, text_version FROM mails")
    assert mail
    asked = {
        "question_id": str(mail["question_id"]),
        "mail_id": str(mail["mail_id"]),
        "text_version": mail["text_version"],
        "language": "de",
    }
    assert details["link_fetched"] == asked
    assert details["consent_given"] == {"how": "button", **asked}


async def test_a_fetched_link_leaves_one_entry_an_hour_and_changes_nothing_else(story: Story) -> None:
    await story.registers()
    links = await story.gets_the_mail()

    async def stored() -> tuple[int, list[Any]]:
        tables = ("registrations", "questions", "tokens", "facts", "outbox", "mails", "contacts")
        async with story.parts.database.transaction() as connection:
            fetches = await connection.fetchval("SELECT count(*) FROM ledger WHERE event = 'link_fetched'")
            return fetches, [await connection.fetch(f"SELECT * FROM {table}") for table in tables]

    _, before = await stored()
    states = await asyncio.gather(*(story.parts.consent.fetch(links["confirm"]) for _ in range(8)))
    assert {link.state for link in states} == {LinkState.OPEN}
    assert await stored() == (1, before)
    story.clock.pass_time(minutes=59)
    await story.parts.consent.fetch(links["confirm"])
    assert await stored() == (1, before)
    story.clock.pass_time(minutes=1)
    await story.parts.consent.fetch(links["confirm"])
    assert await stored() == (2, before)
    assert (await story.parts.consent.fetch("unknown")).state is LinkState.UNUSABLE
    assert (await story.parts.consent.fetch(links["unsubscribe"])).state is LinkState.UNUSABLE
    assert await stored() == (2, before)
    await story.parts.consent.confirm(links["confirm"])
    story.clock.pass_time(hours=3)
    assert (await story.parts.consent.fetch(links["confirm"])).state is LinkState.DONE
    assert (await stored())[0] == 2


async def test_fetching_is_never_consent(story: Story) -> None:
    await story.registers()
    links = await story.gets_the_mail()
    await story.parts.consent.fetch(links["confirm"])
    assert await story.statuses() == [["dpv:ConsentRequested"]]


async def test_an_objection_withdraws_a_consent_that_was_given(story: Story) -> None:
    links = await story.confirms()
    await story.parts.consent.object(links["unsubscribe"])
    assert await story.statuses() == [["dpv:ConsentRequested", "dpv:ConsentGiven", "dpv:ConsentWithdrawn"]]


async def test_withdrawing_takes_back_what_was_given_and_leaves_a_later_question_open(story: Story) -> None:
    links = await story.confirms()
    await story.parts.preferences.withdraw(links["preferences"])
    await story.registers("r-2", company={"domain": "other.example"})
    await story.gets_the_mail("r-2")
    given, asked_again = await story.statuses()
    assert given == ["dpv:ConsentRequested", "dpv:ConsentGiven", "dpv:ConsentWithdrawn"]
    assert asked_again == ["dpv:ConsentRequested"]


@pytest.mark.parametrize("by_link", [True, False])
async def test_an_objection_instead_of_an_answer_refuses(story: Story, by_link: bool) -> None:
    await story.registers()
    links = await story.gets_the_mail()
    if by_link:
        await story.parts.consent.object(links["unsubscribe"])
    else:
        await story.tells("contact.objected")
    assert await story.statuses() == [["dpv:ConsentRequested", "dpv:ConsentRefused"]]


async def test_silence_is_no_decision_whoever_shares_the_question(story: Story) -> None:
    await story.registers()
    await story.gets_the_mail()
    await story.registers("r-2", partner_id="p-2", company={"domain": "other.example"})
    story.clock.pass_time(days=40)
    await story.parts.sending.lapse("r-1")
    assert await story.statuses() == [["dpv:ConsentRequested", "dpv:ConsentRequestDeferred"]]
    (receipt,) = await story.receipts()
    assert record(receipt)["ledger:registration"] == ["r-1", "r-2"]


async def test_a_consent_reported_by_another_system_is_told_apart(story: Story) -> None:
    await story.tells("contact.opted_in")
    (receipt,) = await story.receipts()
    (process,) = record(receipt)["dpv:hasProcess"]
    assert statuses_of(process)[0]["dpv:isExercisedAt"] == "reported by another system"
    await story.tells("contact.objected")
    assert await story.statuses() == [["dpv:ConsentGiven", "dpv:ConsentWithdrawn"]]


async def test_a_notice_asks_nothing_so_it_has_no_receipt(story: Story) -> None:
    await story.registers(country="FR")
    story.clock.pass_time(days=31)
    await story.gets_the_mail(kind=LetterKind.NOTICE)
    export = await story.parts.ledger.export(ADDRESS)
    assert export.receipts() == []
    assert "mail_accepted" in [entry.event for entry in export.entries]
    assert "No question was sent" in render_evidence(export)


# Export.


async def test_entries_come_whole_with_their_hashes_and_checkpoints(story: Story) -> None:
    await story.registers()
    await story.parts.ledger.checkpoint()
    await story.tells("contact.opted_in")
    document: dict[str, Any] = json.loads(json.dumps((await story.parts.ledger.export(ADDRESS)).document()))
    entries = document["entries"]
    assert document["intact"] is True
    assert entries[0]["previous_hash"] == BEGINNING.hex()
    assert [entry["previous_hash"] for entry in entries[1:]] == [entry["entry_hash"] for entry in entries[:-1]]
    assert (entries[0]["checkpoint"], entries[-1]["checkpoint"]) == ("2026-11-22", None)
    assert all(json.loads(entry["detail_text"]) == entry["detail"] for entry in entries)
    assert ADDRESS not in json.dumps(document)


async def test_every_spelling_of_the_address_and_the_pseudonym_lead_to_the_same(story: Story) -> None:
    await story.confirms()
    by_address = await story.parts.ledger.export(f" {ADDRESS.upper()} ")
    by_pseudonym = await story.parts.ledger.export(by_address.subject)
    assert by_pseudonym.document() == by_address.document()
    assert by_pseudonym.address is None


async def test_evidence_outlives_the_persons_data(story: Story) -> None:
    links = await story.confirms()
    await story.parts.consent.object(links["unsubscribe"])
    assert len(await story.receipts()) == 1


async def test_nobody_and_nonsense_are_told_apart(parts: Parts) -> None:
    with pytest.raises(NotFound):
        await parts.ledger.export("nobody@firma.example")
    with pytest.raises(NotFound):
        await parts.ledger.export("s-" + "0" * 32)
    with pytest.raises(InvalidInput):
        await parts.ledger.export("s-0")


async def test_an_export_says_when_the_chain_is_not_intact(story: Story, database_url: str) -> None:
    await story.confirms()
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER TABLE ledger DISABLE TRIGGER ALL")
    entry = await connection.fetchval(
        "UPDATE ledger SET at = at - interval '1 day' WHERE event = 'consent_given' RETURNING entry_id"
    )
    await connection.close()
    export = await story.parts.ledger.export(ADDRESS)
    assert export.wrong == {entry: "altered"}
    assert export.document()["intact"] is False
    assert f"Not intact: entry {entry} (altered)" in render_evidence(export)


async def test_the_page_has_every_fact_and_no_script(story: Story) -> None:
    links = await story.confirms()
    await story.parts.consent.object(links["unsubscribe"])
    export = await story.parts.ledger.export(ADDRESS)
    html = render_evidence(export)
    (consent,) = export.records
    facts = [
        *(CONTROLLER[name] for name in ("name", "address", "email", "dpo_email", "privacy_policy_version")),
        ADDRESS,
        export.subject,
        consent.record_id,
        consent.text_version or "missing",
        "“de”",
        story.parts.policy.version,
        "2026-11-22 09:00:00 UTC</td><td>Asked by mail</td><td>mail accepted by the server",
        "The link was fetched on 2026-11-22 11:00:00 UTC",
        "2026-11-22 11:01:00 UTC</td><td>Consent given</td><td>button",
        "Consent withdrawn</td><td>link",
        *(entry.entry_hash.hex() for entry in export.entries),
    ]
    assert [fact for fact in facts if fact not in html] == []
    assert "@media print" in html
    assert not re.search(r"<script|<link|<img|https?://(?!controller\.example)", html)


# Commands.


async def run(*words: str) -> tuple[int, str]:
    result = await asyncio.to_thread(CliRunner().invoke, app, ["ledger", *words])
    return result.exit_code, result.output


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, database_url: str, parts: Parts, tmp_path: Path) -> None:
    """The settings of `parts`, as the commands read them."""
    settings = {
        "DATABASE_URL": database_url,
        "SECRET_KEY": parts.settings.secret_key.get_secret_value(),
        "PUBLIC_URL": parts.settings.public_url,
        "MAIL__FROM": parts.settings.mail.from_,
        **{f"CONTROLLER__{name.upper()}": value for name, value in CONTROLLER.items()},
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"CONSENTFLOW_{name}", value)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("environment")
async def test_verify_says_in_plain_words_what_it_found(story: Story, database_url: str) -> None:
    await story.confirms()
    await story.parts.ledger.checkpoint()
    assert (await run("verify"))[0] == 0
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER TABLE ledger DISABLE TRIGGER ALL")
    entry = await connection.fetchval("UPDATE ledger SET event = 'x' WHERE event = 'consent_given' RETURNING entry_id")
    await connection.close()
    code, output = await run("verify")
    assert code == 1
    assert "The ledger was tampered with." in output
    assert f"Entry {entry} was altered" in output
    assert "The checkpoint of 2026-11-22 covers it." in output


@pytest.mark.usefixtures("environment")
async def test_export_prints_json_or_a_page(story: Story) -> None:
    await story.confirms()
    code, output = await run("export", ADDRESS)
    assert (code, len(json.loads(output)["receipts"])) == (0, 1)
    code, output = await run("export", ADDRESS, "--format", "html")
    assert code == 0
    assert output.startswith("<!doctype html>")
    assert await run("export", "nobody@firma.example") == (1, "The ledger says nothing of this person.\n")
    assert (await run("export", "nonsense"))[0] == 1
