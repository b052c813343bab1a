"""Letters that leave together: the usual case of `Sending`, for as many as ask at the same time.

A letter is plain when nothing has changed since it was decided on: what is on record still says so, nothing else is on
its way, nobody else waits for it. Whatever is not plain is left to `Sending`, which looks at it alone and in full; what
comes of a plain one is the same there. All subjects are locked and read at once, each letter is then judged in memory,
and what follows is written by one statement for each table.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4

from consentflow.domain.consent import Fact, Question, Record
from consentflow.domain.languages import letter_language
from consentflow.domain.letters import Compose, LeadLetter, LeadLinks, LetterKind, Recipient, last_full_day
from consentflow.domain.policy import Lead as Located
from consentflow.domain.policy import Policy, Reason, decide
from consentflow.domain.registrations import Course, Registration, State, Step, course_of
from consentflow.domain.secrets import hash_token, new_token
from consentflow.operations.counting import count_mail, count_registration
from consentflow.operations.posting import Office
from consentflow.operations.weighing import Weighing
from consentflow.storage import facts, leaving, tokens
from consentflow.storage.contacts import Contact
from consentflow.storage.leaving import Lead, Left
from consentflow.storage.mails import StoredMail
from consentflow.storage.pool import Connection
from consentflow.storage.questions import AskedQuestion
from consentflow.storage.tokens import Token

UNSUBSCRIBE_VALIDITY = timedelta(days=3 * 365)
"""The links to object and to choose outlive the mail's usual stay in a mailbox (GDPR Art. 21 knows no term)."""

STEP_OF: Final = {LetterKind.DOUBLE_OPT_IN: Step.SEND_DOUBLE_OPT_IN, LetterKind.NOTICE: Step.SEND_NOTICE}


@dataclass(frozen=True, slots=True)
class Written:
    """A letter as frozen.

    Args:
        tokens: Of the links in it, by their hashes.
        noted: What the ledger keeps of it.
    """

    stored: StoredMail
    tokens: dict[bytes, Token]
    noted: dict[str, str | None]


def write(
    office: Office,
    compose: Compose,
    policy: Policy,
    registration: Registration,
    contact: Contact,
    kind: LetterKind,
    now: datetime,
) -> Written:
    """Writes the letter that a registration is due, with links of its own."""
    mail_id = uuid4()
    question_id = registration.question_id if kind is LetterKind.DOUBLE_OPT_IN else None
    until = policy.answer_until(now) if question_id else None
    language = letter_language(contact.language, registration.country, registration.company_domain)
    kept: dict[bytes, Token] = {}

    def link(purpose: str, expires_at: datetime, about: UUID | None = None) -> str:
        text = new_token()
        kept[hash_token(text)] = Token(purpose, contact.subject, about, language, expires_at, mail_id=mail_id)
        return f"{office.public_url}/{purpose}/{text}"

    letter = LeadLetter(
        kind=kind,
        language=language,
        recipient=Recipient(contact.email, contact.given_name, contact.family_name),
        company=registration.company_name or registration.company_domain,
        controller=office.controller,
        links=LeadLinks(
            unsubscribe=link("unsubscribe", now + UNSUBSCRIBE_VALIDITY),
            preferences=link("preferences", now + UNSUBSCRIBE_VALIDITY),
            confirm=link("confirm", until, question_id) if until else None,
            source_request=f"{office.public_url}/source-request",
        ),
        written_at=now,
        answer_until=last_full_day(until) if until else None,
    )
    frozen = compose(letter, str(mail_id))
    stored = StoredMail(
        mail_id,
        registration.subject,
        kind,
        registration.registration_id,
        question_id,
        frozen.message_id,
        "frozen",
        frozen,
    )
    noted = {
        "kind": kind.value,
        "mail_id": str(mail_id),
        "question_id": str(question_id) if question_id else None,
        "language": language.value,
        "text_version": frozen.text_version,
        "privacy_policy_version": office.controller.privacy_policy_version,
    }
    return Written(stored, kept, noted)


@dataclass(frozen=True, slots=True)
class Due:
    """A letter of a registration is to begin to leave."""

    registration_id: str
    kind: LetterKind


@dataclass(frozen=True, slots=True)
class Taken:
    """The server took a mail.

    Args:
        reply: The status of its reply.
    """

    mail_id: UUID
    reply: str | None


@dataclass(frozen=True, slots=True)
class Leaving:
    """What is done together.

    Args:
        compose: Renders and freezes a letter.
    """

    policy: Policy
    office: Office
    compose: Compose

    async def handle(
        self, connection: Connection, asked: Sequence[Due | Taken], now: datetime
    ) -> list[StoredMail | Course | None]:
        """Within a transaction freezes what is due, marked as being attempted, and closes what was taken.

        Returns:
            For each, the mail to send or the course to follow; None for what is not plain, of which nothing was done.
        """
        registration_ids = [each.registration_id for each in asked if isinstance(each, Due)]
        mail_ids = [each.mail_id for each in asked if isinstance(each, Taken)]
        await leaving.lock(connection, registration_ids, mail_ids)
        leads = await leaving.find(connection, registration_ids, mail_ids)
        known = {lead.registration.subject for lead in leads if lead.has_facts}
        on_record = await facts.of_subjects(connection, known) if known else {}
        times = Counter(lead.registration.subject for lead in leads)
        # Of a subject that is there twice the second would not see what happened to the first.
        alone = {_key(lead): lead for lead in leads if times[lead.registration.subject] == 1}
        answers: list[StoredMail | Course | None] = []
        written: list[Written] = []
        gone: list[Left] = []
        for each in asked:
            lead = alone.pop(each.registration_id if isinstance(each, Due) else each.mail_id, None)
            answer: StoredMail | Course | None = None
            if lead:
                subject, told = lead.registration.subject, lead.registration.registration_id
                record = on_record.get(subject, frozenset())
                weighing = Weighing(connection, self.policy, subject, now, record, lead.question, told)
                if isinstance(each, Due) and (letter := await self._begin(weighing, lead, each.kind)):
                    written.append(letter)
                    answer = letter.stored
                elif isinstance(each, Taken) and (left := await self._close(weighing, lead, each)):
                    gone.append(left)
                    answer = course_of(left.registration, left.answer_until)
            answers.append(answer)
        if written:
            await leaving.freeze_and_attempt(connection, [each.stored for each in written], now)
            await tokens.keep_all(connection, {key: token for each in written for key, token in each.tokens.items()})
        if gone:
            await leaving.close_accepted(connection, gone, now)
        if told_of := [each.registration.subject for each in gone if each.question_id is None]:
            await facts.record_all(connection, [(subject, Fact.NOTICE_SENT, now) for subject in told_of], now)
        return answers

    async def _begin(self, weighing: Weighing, lead: Lead, kind: LetterKind) -> Written | None:
        if lead.contact is None or not self._may_begin(weighing, lead, kind):
            return None
        letter = write(self.office, self.compose, self.policy, lead.registration, lead.contact, kind, weighing.at)
        await weighing.note(lead.registration, "mail_frozen", **letter.noted)
        return letter

    async def _close(self, weighing: Weighing, lead: Lead, taken: Taken) -> Left | None:
        left = self._left(weighing, lead, taken.reply)
        if left is None or lead.attempt is None:
            return None
        await weighing.note(lead.registration, "mail_accepted", mail_id=str(taken.mail_id), reply=taken.reply)
        count_mail(lead.attempt.purpose, "accepted")
        count_registration(left.registration)
        await weighing.note(left.registration, "asked" if left.question_id else "notified")
        return left

    def _may_begin(self, weighing: Weighing, lead: Lead, kind: LetterKind) -> bool:
        """Whether a letter is due and plain: the registration stands where a fresh decision would take it."""
        registration, question = lead.registration, lead.question
        course = course_of(registration)
        if course.step is not STEP_OF[kind] or (course.at and course.at > weighing.at):
            return False
        if lead.in_flight or lead.faulty:
            return False
        if kind is LetterKind.NOTICE:
            return question is None and self._stays(registration, weighing, Question.NONE)
        mine = question is not None and _is_asker(registration, question)
        return mine and self._stays(registration, weighing, Question.NONE)  # its own is about to be asked

    def _left(self, weighing: Weighing, lead: Lead, reply: str | None) -> Left | None:
        """What a letter leads to that left while nothing else happened; None when that is not plain."""
        registration, attempt, question = lead.registration, lead.attempt, lead.question
        revision = registration.revision + 1
        if attempt is None or attempt.state != "attempting" or lead.open_registrations != 1 or lead.faulty:
            return None
        if question is None and attempt.purpose == LetterKind.NOTICE and registration.state is State.WAITING:
            notified = replace(registration, state=State.NOTIFIED, revision=revision)
            return Left(attempt.mail_id, reply, None, None, notified)
        if question is None or registration.state is not State.ACCEPTED or not _is_asker(registration, question):
            return None
        asked = replace(registration, state=State.AWAITING_CONFIRMATION, revision=revision)
        if attempt.question_id != question.question_id or not self._stays(asked, weighing, Question.OPEN):
            return None
        return Left(attempt.mail_id, reply, question.question_id, self.policy.answer_until(weighing.at), asked)

    def _stays(self, registration: Registration, weighing: Weighing, stage: Question) -> bool:
        """Whether the policy would leave the registration where it stands.

        Args:
            stage: How far its question has come, as it looks to the registration.
        """
        lead = Located(registration.country, registration.registered_at, stage is Question.OPEN)
        decision = decide(self.policy, lead, Record(weighing.facts, stage), weighing.at)
        return (decision.state, decision.regime) == (registration.state, registration.regime) and (
            decision.reason in (registration.reason, Reason.ALREADY_ASKED)
        )


def _is_asker(registration: Registration, question: AskedQuestion) -> bool:
    """Whether the question is the registration's own, and its mail has yet to leave."""
    return (
        question.stage is Question.PENDING
        and question.registration_id == registration.registration_id
        and question.question_id == registration.question_id
    )


def _key(lead: Lead) -> str | UUID:
    return lead.attempt.mail_id if lead.attempt else lead.registration.registration_id
