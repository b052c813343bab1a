"""What comes back about a mail: it counts once, and only with the address that nobody can guess."""

import re
from collections.abc import AsyncIterator

import pytest

from consentflow.domain.bounces import InboundKind, Verdict
from consentflow.domain.errors import RecipientRefused
from consentflow.domain.events import CloudEvent
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.letters import LetterKind
from consentflow.domain.partners import Choice
from consentflow.domain.registrations import Course, State
from consentflow.mail.inbound import read_inbound
from consentflow.operations.consent import LinkState
from consentflow.operations.posting import Outcome
from consentflow.runtime import Parts
from consentflow.storage.mails import StoredMail
from tests.conftest import HandClock, make_settings


@pytest.fixture
async def parts(database_url: str, clock: HandClock) -> AsyncIterator[Parts]:
    mail = {"from": "privacy@controller.example", "bounce_domain": "Bounces.controller.example"}
    built = Parts(make_settings(database_url, mail=mail), clock)
    async with built.database:
        yield built


async def send(parts: Parts, registration_id: str, country: str, kind: LetterKind) -> StoredMail:
    request = {"registration_id": registration_id, "partner_id": "p", "contact": {"email": "lea@firma.example"}}
    await parts.registrations.register(RegistrationIn.model_validate(request | {"country": country}))
    if kind is LetterKind.NOTICE:
        assert isinstance(parts.clock, HandClock)
        parts.clock.pass_time(days=30)
    due = await parts.sending.begin(registration_id, kind)
    assert not isinstance(due, Course)
    await parts.sending.accepted(due.mail_id, "2.0.0 ok")
    return due


def about(mail: StoredMail, kind: InboundKind, status: str | None = None) -> Verdict:
    assert mail.mail
    return Verdict(kind, status, True, mail.mail.envelope_from.lower(), mail.message_id.lower())


async def state(parts: Parts, registration_id: str) -> State:
    return (await parts.registrations.find(registration_id)).registration.state


async def addresses(parts: Parts) -> list[str]:
    """Whom we hold as contacts."""
    async with parts.database.transaction() as connection:
        return [row["email"] for row in await connection.fetch("SELECT email FROM contacts ORDER BY email")]


async def opted_in(parts: Parts, email: str) -> None:
    event = {"specversion": "1.0", "id": "e", "source": "site", "type": "contact.opted_in", "data": {"email": email}}
    assert (await parts.events.record([CloudEvent.model_validate(event)])).accepted == 1


async def events(parts: Parts, registration_id: str) -> list[str]:
    return [entry.event for entry in (await parts.registrations.find(registration_id)).timeline]


@pytest.mark.parametrize(("country", "kind"), [("DE", LetterKind.DOUBLE_OPT_IN), ("FR", LetterKind.NOTICE)])
async def test_a_hard_bounce_makes_the_registration_undeliverable_and_later_ones_suppressed(
    parts: Parts, country: str, kind: LetterKind
) -> None:
    mail = await send(parts, "r-1", country, kind)
    assert await parts.bounces.take(about(mail, InboundKind.HARD_BOUNCE, "5.1.1"))
    assert await state(parts, "r-1") is State.UNDELIVERABLE
    request = {"registration_id": "r-2", "partner_id": "q", "contact": {"email": "lea@firma.example"}, "country": "FR"}
    later, _ = await parts.registrations.register(
        RegistrationIn.model_validate(request | {"company": {"domain": "other.example"}})
    )
    assert (later.registration.state, later.registration.reason) == (State.SUPPRESSED, "hard_bounced")


async def test_a_complaint_suppresses_at_once_and_erases_the_contact(parts: Parts) -> None:
    mail = await send(parts, "r-1", "DE", LetterKind.DOUBLE_OPT_IN)
    assert await parts.bounces.take(about(mail, InboundKind.COMPLAINT))
    assert await state(parts, "r-1") is State.SUPPRESSED
    async with parts.database.transaction() as connection:
        assert await connection.fetchval("SELECT count(*) FROM contacts") == 0
        assert await connection.fetchval("SELECT count(*) FROM mails WHERE content IS NOT NULL") == 0


async def test_a_complaint_takes_back_a_consent_as_an_objection_does(parts: Parts) -> None:
    mail = await send(parts, "r-1", "DE", LetterKind.DOUBLE_OPT_IN)
    await opted_in(parts, "lea@firma.example")
    assert await state(parts, "r-1") is State.CONFIRMED
    assert await parts.bounces.take(about(mail, InboundKind.COMPLAINT))
    assert await state(parts, "r-1") is State.SUPPRESSED
    assert await addresses(parts) == []


async def test_a_hard_bounce_erases_a_contact_that_nobody_needs_any_more(parts: Parts) -> None:
    request = {"partner_id": "p", "contact": {"email": "lea@firma.example"}, "company": {"domain": "firma.example"}}
    for registration_id, country in (("r-1", "DE"), ("r-2", "FR")):
        more = {"registration_id": registration_id, "country": country}
        await parts.registrations.register(RegistrationIn.model_validate(request | more))
    mail = await parts.sending.begin("r-1", LetterKind.DOUBLE_OPT_IN)
    assert isinstance(mail, StoredMail)
    await parts.registrations.withdraw("r-1")
    assert await addresses(parts) == ["lea@firma.example"]
    assert await parts.bounces.take(about(mail, InboundKind.HARD_BOUNCE, "5.1.1"))
    assert await state(parts, "r-2") is State.SUPPRESSED
    assert await addresses(parts) == []


async def test_soft_bounces_are_counted_and_change_nothing(parts: Parts) -> None:
    mail = await send(parts, "r-1", "DE", LetterKind.DOUBLE_OPT_IN)
    for _ in range(2):
        assert await parts.bounces.take(about(mail, InboundKind.SOFT_BOUNCE, "5.2.2"))
    assert await state(parts, "r-1") is State.AWAITING_CONFIRMATION
    async with parts.database.transaction() as connection:
        row = await connection.fetchrow("SELECT soft_bounces, bounce_status FROM mails")
    assert row is not None
    assert tuple(row) == (2, "5.2.2")


async def test_the_same_bounce_twice_counts_once(parts: Parts) -> None:
    mail = await send(parts, "r-1", "DE", LetterKind.DOUBLE_OPT_IN)
    verdict = about(mail, InboundKind.HARD_BOUNCE, "5.1.1")
    assert await parts.bounces.take(verdict)
    assert await parts.bounces.take(verdict)
    assert (await events(parts, "r-1")).count("undeliverable") == 1


async def test_a_forged_bounce_is_ignored(parts: Parts) -> None:
    mail = await send(parts, "r-1", "DE", LetterKind.DOUBLE_OPT_IN)
    true = about(mail, InboundKind.HARD_BOUNCE, "5.1.1")
    forgeries = [
        Verdict(true.kind, true.status, True, None, true.message_id),
        Verdict(true.kind, true.status, True, f"b-{'0' * 24}@bounces.controller.example", true.message_id),
        Verdict(true.kind, true.status, True, "privacy@controller.example", true.message_id),
        Verdict(true.kind, true.status, True, true.bounce_address, f"<{'0' * 32}@controller.example>"),
    ]
    for forgery in forgeries:
        assert not await parts.bounces.take(forgery)
    assert await state(parts, "r-1") is State.AWAITING_CONFIRMATION
    assert "hard_bounce" not in await events(parts, "r-1")


async def test_the_bounce_address_cannot_be_computed_from_what_the_timeline_shows(parts: Parts) -> None:
    mail = await send(parts, "r-1", "DE", LetterKind.DOUBLE_OPT_IN)
    frozen = mail.mail
    assert frozen
    shown = str([entry.detail for entry in (await parts.registrations.find("r-1")).timeline])
    assert str(mail.mail_id) in shown
    assert frozen.envelope_from.startswith("b-")
    assert frozen.envelope_from[2:26] not in shown


async def test_a_real_shaped_bounce_of_a_frozen_mail_finds_its_way(parts: Parts) -> None:
    mail = await send(parts, "r-1", "DE", LetterKind.DOUBLE_OPT_IN)
    assert mail.mail
    report = (
        b"Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.firma.example\r\nTo: " + mail.mail.envelope_from.encode() + b"\r\n"
        b"Subject: Undelivered Mail Returned to Sender\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="x"\r\n\r\n'
        b"--x\r\nContent-Type: text/plain\r\n\r\nThe mail system could not deliver your mail.\r\n"
        b"--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.firma.example\r\n\r\n"
        b"Final-Recipient: rfc822; lea@firma.example\r\nAction: failed\r\nStatus: 5.1.1\r\n"
        b"Diagnostic-Code: smtp; 550 5.1.1 User unknown\r\n"
        b"--x\r\nContent-Type: message/rfc822\r\n\r\n" + mail.mail.content + b"\r\n--x--\r\n"
    )
    assert await parts.bounces.take(read_inbound(report))
    assert await state(parts, "r-1") is State.UNDELIVERABLE


# Mail to subscribers.


async def subscribe(parts: Parts, partner_id: str = "p", email: str = "ana@partner.example") -> StoredMail:
    """An active subscriber; the mail that asked."""
    await parts.subscribers.put(partner_id, email, Choice())
    async with parts.database.transaction() as connection:
        mail_id = await connection.fetchval("SELECT mail_id FROM mails WHERE state = 'frozen'")
    mail = await parts.posting.begin(mail_id)
    assert isinstance(mail, StoredMail)
    assert mail.mail
    found = re.search(rb"/subscription/([\w-]{22})", mail.mail.content.replace(b"=\r\n", b""))
    assert found
    assert (await parts.subscribers.confirm(found[1].decode())).state is LinkState.DONE
    await parts.posting.accepted(mail_id, "2.0.0 ok")
    return mail


async def states(parts: Parts) -> dict[str, str]:
    async with parts.database.transaction() as connection:
        rows = await connection.fetch("SELECT partner_id, state FROM subscribers")
        return {row["partner_id"]: row["state"] for row in rows}


async def test_a_hard_bounce_pauses_whatever_the_mailbox_subscribes_to_once(parts: Parts) -> None:
    mail = await subscribe(parts)
    await subscribe(parts, "q")
    assert await parts.bounces.take(about(mail, InboundKind.HARD_BOUNCE, "5.1.1"))
    assert await states(parts) == {"p": "paused", "q": "paused"}
    await parts.subscribers.resume("p", mail.subject)
    assert await parts.bounces.take(about(mail, InboundKind.HARD_BOUNCE, "5.1.1"))  # the same report once more
    assert await states(parts) == {"p": "active", "q": "paused"}


async def test_a_refusal_of_a_later_mail_pauses_as_well(parts: Parts) -> None:
    mail = await subscribe(parts)
    refusal = RecipientRefused("rcpt", 550, "5.1.1")
    async with parts.database.transaction() as connection:
        await connection.execute("UPDATE mails SET state = 'attempting'")
    assert await parts.posting.refused(mail.mail_id, refusal) is Outcome.REFUSED
    assert await states(parts) == {"p": "paused"}


async def test_a_complaint_ends_the_subscription_and_erases_its_address(parts: Parts) -> None:
    mail = await subscribe(parts)
    assert await parts.bounces.take(about(mail, InboundKind.COMPLAINT))
    assert await parts.bounces.take(about(mail, InboundKind.COMPLAINT))
    assert await states(parts) == {}


async def test_a_soft_bounce_of_a_subscribers_mail_is_counted_and_changes_nothing(parts: Parts) -> None:
    mail = await subscribe(parts)
    assert await parts.bounces.take(about(mail, InboundKind.SOFT_BOUNCE, "4.2.2"))
    assert await states(parts) == {"p": "active"}
    async with parts.database.transaction() as connection:
        assert await connection.fetchval("SELECT soft_bounces FROM mails") == 1


async def test_what_comes_back_about_a_subscriber_says_nothing_of_the_same_person_as_a_lead(parts: Parts) -> None:
    mail = await subscribe(parts, email="lea@firma.example")
    await send(parts, "r-1", "DE", LetterKind.DOUBLE_OPT_IN)
    assert await parts.bounces.take(about(mail, InboundKind.HARD_BOUNCE, "5.1.1"))
    assert await parts.bounces.take(about(mail, InboundKind.COMPLAINT))
    assert await state(parts, "r-1") is State.AWAITING_CONFIRMATION
    assert await addresses(parts) == ["lea@firma.example"]
    assert await states(parts) == {}


async def test_what_comes_back_about_a_lead_says_nothing_of_the_same_person_as_a_subscriber(parts: Parts) -> None:
    await subscribe(parts, email="lea@firma.example")
    mail = await send(parts, "r-1", "DE", LetterKind.DOUBLE_OPT_IN)
    assert await parts.bounces.take(about(mail, InboundKind.COMPLAINT))
    assert await states(parts) == {"p": "active"}
