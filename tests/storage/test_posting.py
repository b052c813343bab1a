"""Mails that no registration sends: written once, looked at again before they leave, and booked."""

from datetime import timedelta
from uuid import UUID

import pytest

from consentflow.domain.addresses import Subject
from consentflow.domain.errors import ConfigurationFault, NotFound, RecipientRefused, TransientFailure
from consentflow.domain.letters import Language, Recipient
from consentflow.domain.sign_in import LINK_VALIDITY, Door, SignInLetter
from consentflow.operations.posting import FAULT_PAUSE, NotYet, Outcome, Posting, dispatch, post
from consentflow.runtime import Parts
from consentflow.storage import outbox
from consentflow.storage.mails import StoredMail
from tests.conftest import HandClock

WRITTEN_TO = Subject("s-" + "0" * 32)


async def posted(
    parts: Parts, about: str = "sign-in/1", *, link: str = "http://127.0.0.1:8000/x", days: int = 1
) -> UUID:
    now = parts.clock.now()
    letter = SignInLetter(
        language=Language.GERMAN,
        recipient=Recipient("ana@partner.example", None, None),
        controller=parts.office.controller,
        door=Door.PARTNER,
        link=link,
        written_at=now,
        valid_until=now + LINK_VALIDITY,
    )
    async with parts.database.transaction() as connection:
        until = now + timedelta(days=days)
        mail_id = await post(connection, parts.compose, letter, WRITTEN_TO, about, send_until=until)
        await dispatch(connection, mail_id)
        return mail_id


async def begun(parts: Parts, mail_id: UUID) -> StoredMail:
    mail = await parts.posting.begin(mail_id)
    assert isinstance(mail, StoredMail)
    return mail


async def events(parts: Parts) -> list[str]:
    async with parts.database.transaction() as connection:
        query = "SELECT event FROM ledger WHERE subject = $1 ORDER BY entry_id"
        return [row["event"] for row in await connection.fetch(query, WRITTEN_TO)]


async def kept_bytes(parts: Parts, mail_id: UUID) -> int:
    async with parts.database.transaction() as connection:
        count: int = await connection.fetchval(
            "SELECT num_nonnulls(content, envelope_to) FROM mails WHERE mail_id = $1", mail_id
        )
        return count


async def test_asking_twice_for_the_same_mail_writes_it_once(parts: Parts) -> None:
    first = await posted(parts, link="http://127.0.0.1:8000/first")
    again = await posted(parts, link="http://127.0.0.1:8000/again")
    assert again == first
    mail = (await begun(parts, first)).mail
    assert mail
    assert b"/first" in mail.content
    assert b"/again" not in mail.content
    assert await events(parts) == ["mail_frozen"]


async def test_mails_about_different_matters_are_different_mails(parts: Parts) -> None:
    assert await posted(parts, "sign-in/1") != await posted(parts, "sign-in/2")


async def test_every_attempt_sends_the_same_bytes(parts: Parts) -> None:
    mail_id = await posted(parts)
    first = await begun(parts, mail_id)
    await parts.posting.postponed(mail_id, TransientFailure("rcpt", 451, "4.7.1"))
    second = await begun(parts, mail_id)
    assert first.mail == second.mail
    assert first.message_id == second.message_id


async def test_a_mail_that_has_left_is_not_sent_again_and_its_link_is_kept_nowhere(parts: Parts) -> None:
    mail_id = await posted(parts)
    await begun(parts, mail_id)
    assert await parts.posting.accepted(mail_id, "2.0.0 queued for ana@partner.example") is Outcome.ACCEPTED
    assert await parts.posting.begin(mail_id) is Outcome.ACCEPTED
    assert await kept_bytes(parts, mail_id) == 0
    assert await events(parts) == ["mail_frozen", "mail_accepted"]


async def test_a_mail_whose_time_is_over_does_not_leave(parts: Parts, clock: HandClock) -> None:
    mail_id = await posted(parts, days=1)
    clock.pass_time(days=1)
    assert await parts.posting.begin(mail_id) is Outcome.DROPPED
    assert await kept_bytes(parts, mail_id) == 0


async def test_a_mailbox_that_does_not_exist_ends_the_matter(parts: Parts) -> None:
    mail_id = await posted(parts)
    await begun(parts, mail_id)
    assert await parts.posting.refused(mail_id, RecipientRefused("rcpt", 550, "5.1.1")) is Outcome.REFUSED
    assert await parts.posting.begin(mail_id) is Outcome.REFUSED


@pytest.mark.parametrize("held", [False, True])
async def test_what_may_have_been_taken_is_sent_again_or_held_as_operators_chose(parts: Parts, held: bool) -> None:
    posting = Posting(parts.database, parts.clock, "hold" if held else "retry")
    mail_id = await posted(parts)
    await begun(parts, mail_id)
    assert await posting.unsure(mail_id, "data") is (Outcome.UNSURE if held else None)
    again = await posting.begin(mail_id)
    assert again is Outcome.UNSURE if held else isinstance(again, StoredMail)


async def test_an_attempt_that_never_ended_is_unsure(parts: Parts) -> None:
    mail_id = await posted(parts)
    await begun(parts, mail_id)
    assert await Posting(parts.database, parts.clock, "hold").begin(mail_id) is Outcome.UNSURE


async def test_no_mail_is_tried_while_the_server_refuses_our_set_up(parts: Parts, clock: HandClock) -> None:
    mail_id = await posted(parts)
    await begun(parts, mail_id)
    await parts.posting.postponed(mail_id, ConfigurationFault("auth", 535, "5.7.8"))
    with pytest.raises(NotYet):
        await parts.posting.begin(mail_id)
    clock.at += FAULT_PAUSE
    await begun(parts, mail_id)
    await parts.posting.accepted(mail_id, "2.0.0 fine")
    assert await parts.agenda.mail_fault() is None


async def test_a_mail_that_is_not_there_cannot_be_sent(parts: Parts) -> None:
    with pytest.raises(NotFound):
        await parts.posting.begin(UUID(int=0))


async def test_the_outbox_names_the_mail_and_nobody(parts: Parts) -> None:
    mail_id = await posted(parts)
    async with parts.database.transaction() as connection:
        (row,) = await outbox.claim(connection, 10)
    assert (row.topic, row.payload) == ("mail.send", {"mail_id": str(mail_id)})
