"""What comes back about a mail: it counts once, and only with the address that nobody can guess."""

from collections.abc import AsyncIterator

import pytest

from consentflow.domain.bounces import InboundKind, Verdict
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.letters import LetterKind
from consentflow.domain.registrations import Course, State
from consentflow.mail.inbound import read_inbound
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
