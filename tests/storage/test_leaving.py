"""Letters that are handled together come to what each comes to alone."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from consentflow.domain.errors import NotFound
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.letters import FrozenMail, Letter, LetterKind
from consentflow.domain.registrations import Course, Step
from consentflow.operations.posting import NotYet
from consentflow.operations.sending import Sending
from consentflow.runtime import Parts
from consentflow.storage.mails import StoredMail
from tests.conftest import HandClock

KINDS = pytest.mark.parametrize(("kind", "country"), [(LetterKind.DOUBLE_OPT_IN, "DE"), (LetterKind.NOTICE, "FR")])
DOUBLE_OPT_IN = LetterKind.DOUBLE_OPT_IN

ROWS = {
    "mails": "purpose, state, attempts, unsure_attempts, language, text_version, frozen_at, closed_at, reply",
    "tokens": "purpose, language, expires_at, used_at, about",
    "questions": "outcome, created_at, asked_at, answer_until, closed_at",
    "registrations": "regime, reason, state, due_at, revision, policy_version",
    "facts": "fact, occurred_at, recorded_at",
    "ledger": "at, event, detail - 'mail_id' - 'question_id' AS detail",
    "contacts": "given_name, recorded_at",
}


async def register(parts: Parts, name: str, country: str = "DE", address: str | None = None) -> str:
    request = {
        "registration_id": name,
        "partner_id": "p",
        "contact": {"email": address or f"lea@{name}.example", "given_name": "Lea"},
        "country": country,
    }
    await parts.registrations.register(RegistrationIn.model_validate(request))
    return name


async def written(parts: Parts, registration_id: str) -> dict[str, list[dict[str, Any]]]:
    """Every row about the registration's subject, without what no two have in common."""
    async with parts.database.transaction() as connection:
        subject = await connection.fetchval(
            "SELECT subject FROM registrations WHERE registration_id = $1", registration_id
        )
        return {
            table: sorted(
                map(dict, await connection.fetch(f"SELECT {columns} FROM {table} WHERE subject = $1", subject)),
                key=repr,
            )
            for table, columns in ROWS.items()
        }


async def told(parts: Parts) -> list[tuple[str, str]]:
    async with parts.database.transaction() as connection:
        rows = await connection.fetch("SELECT topic, payload FROM outbox ORDER BY outbox_id")
        return [(row["topic"], row["payload"]["registration_id"]) for row in rows]


async def begun(parts: Parts, registration_id: str, kind: LetterKind = DOUBLE_OPT_IN) -> StoredMail:
    due = await parts.sending.begin(registration_id, kind)
    assert isinstance(due, StoredMail)
    return due


@KINDS
async def test_what_is_written_is_the_same_together_and_alone(
    parts: Parts, clock: HandClock, kind: LetterKind, country: str
) -> None:
    together = [await register(parts, f"t-{number}", country) for number in range(5)]
    alone = await register(parts, "alone", country)
    clock.pass_time(days=30)
    mails = await asyncio.gather(*(begun(parts, each, kind) for each in together))
    by_itself = await parts.sending._begin_alone(alone, kind)  # noqa: SLF001 - what would be plain, as if it were not
    assert isinstance(by_itself, StoredMail)
    after_begin = await written(parts, alone)
    assert [await written(parts, each) for each in together] == [after_begin] * 5
    assert by_itself.mail
    assert {mail.state for mail in mails} == {by_itself.state}
    clock.pass_time(seconds=5)
    courses = await asyncio.gather(*(parts.sending.accepted(mail.mail_id, "2.0.0 taken") for mail in mails))
    course = await parts.sending._end(by_itself.mail_id, "accepted", "2.0.0")  # noqa: SLF001
    assert courses == [course] * 5
    after_end = await written(parts, alone)
    assert after_end != after_begin
    assert [await written(parts, each) for each in together] == [after_end] * 5
    assert await told(parts) == [("registration.start", each) for each in [*together, alone]]  # and no more


async def test_what_is_not_plain_goes_its_own_way_and_stops_nobody(parts: Parts, clock: HandClock) -> None:
    plain = [await register(parts, f"plain-{number}") for number in range(3)]
    first, joined = await register(parts, "first"), await register(parts, "joined", address="Lea@first.example")
    opted_in = await register(parts, "opted-in")
    early = await register(parts, "early", "FR")
    async with parts.database.transaction() as connection:
        await connection.execute(
            "INSERT INTO facts (subject, fact, occurred_at, recorded_at)"
            " SELECT subject, 'opted_in', $1, $1 FROM registrations WHERE registration_id = 'opted-in'",
            clock.now(),
        )
    asked = [
        *((each, DOUBLE_OPT_IN) for each in (*plain, first, joined, opted_in, "missing")),
        (early, LetterKind.NOTICE),
    ]
    answers = await asyncio.gather(*(parts.sending.begin(*each) for each in asked), return_exceptions=True)
    assert all(isinstance(answer, StoredMail) for answer in answers[:4])
    assert isinstance(answers[4], NotYet)  # another one is on its way to the mailbox
    assert isinstance(answers[5], Course)
    assert answers[5].step is Step.END
    assert isinstance(answers[6], NotFound)
    assert isinstance(answers[7], NotYet)

    async def take(mail_id: UUID) -> Course | BaseException:
        return await parts.sending.accepted(mail_id, "2.0.0 taken")

    mails = [answer.mail_id for answer in answers if isinstance(answer, StoredMail)]
    courses = await asyncio.gather(*map(take, [*mails, UUID(int=0)]), return_exceptions=True)
    assert [getattr(course, "step", None) for course in courses] == [Step.LAPSE] * 4 + [None]
    assert isinstance(courses[-1], NotFound)
    joined_now = await parts.sending.begin(joined, DOUBLE_OPT_IN)
    assert isinstance(joined_now, Course)  # it shares the question that was asked
    assert joined_now.step is Step.LAPSE


async def test_a_mail_that_was_attempted_before_is_sent_again_with_the_same_bytes(parts: Parts) -> None:
    registration_id = await register(parts, "again")
    one, other = await begun(parts, registration_id), await begun(parts, registration_id)
    assert one.mail == other.mail
    rows = await written(parts, registration_id)
    assert [(row["attempts"], row["unsure_attempts"]) for row in rows["mails"]] == [(2, 1)]


async def test_a_letter_that_cannot_be_written_stops_nobody_else(parts: Parts, clock: HandClock) -> None:
    good, bad = await register(parts, "good"), await register(parts, "bad")
    compose = parts.compose

    def failing(letter: Letter, key: str) -> FrozenMail:
        if letter.recipient.address == "lea@bad.example":
            raise ValueError(letter.kind)
        return compose(letter, key)

    sending = Sending(parts.database, clock, parts.policy, parts.office, failing)
    answers = await asyncio.gather(
        sending.begin(good, DOUBLE_OPT_IN), sending.begin(bad, DOUBLE_OPT_IN), return_exceptions=True
    )
    assert isinstance(answers[0], StoredMail)
    assert isinstance(answers[1], ValueError)
