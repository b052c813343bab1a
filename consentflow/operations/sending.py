"""Sending a letter: what happens in the database before and after the SMTP conversation.

`begin` re-reads the record and freezes the bytes in one transaction, so that what counts is the record at the moment
of sending. The mail then leaves outside any transaction, and one of `accepted`, `refused`, `postponed` or `unsure`
writes down how it ended. They answer with the course the workflow is to follow.

What is usual is done for many letters at once (`consentflow.operations.leaving`), all else letter by letter, here.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from consentflow.domain.clock import Clock
from consentflow.domain.consent import Fact
from consentflow.domain.errors import (
    ConfigurationFault,
    NotFound,
    RecipientRefused,
    SendingFailed,
    StorageUnavailable,
)
from consentflow.domain.letters import Compose, LetterKind
from consentflow.domain.policy import Policy
from consentflow.domain.registrations import OPEN, Course, Registration, State
from consentflow.operations.bounces import end_undeliverable
from consentflow.operations.counting import count_mail, count_postponed, count_unsure
from consentflow.operations.gathering import Collect, Gathering
from consentflow.operations.leaving import STEP_OF, Due, Leaving, Taken, write
from consentflow.operations.posting import NotYet, Office, insist_on_sound_set_up, status_of
from consentflow.operations.weighing import Weighing
from consentflow.storage import contacts, ledger, mail_fault, mails, questions, registrations, tokens
from consentflow.storage.contacts import Contact
from consentflow.storage.mails import StoredMail
from consentflow.storage.pool import Connection, Database

_log = structlog.get_logger("consentflow.sending")

_MOST_TOGETHER = 50
"""Letters in one transaction: it holds the locks of so many subjects for so long."""

ANOTHER_ON_ITS_WAY = timedelta(minutes=1)
"""When to ask again while a mail of the same purpose is leaving for the same mailbox."""


class Sending:
    """The operations around one letter.

    Args:
        compose: Renders and freezes a letter.
    """

    def __init__(self, database: Database, clock: Clock, policy: Policy, office: Office, compose: Compose) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy
        self._office = office
        self._compose = compose
        self._leaving = Leaving(policy, office, compose)
        self._gathering = Gathering(self._handle, most=_MOST_TOGETHER)

    async def begin(self, registration_id: str, kind: LetterKind) -> StoredMail | Course:
        """The mail to send now, marked as being attempted; or, if none is due, the course to follow instead.

        Raises:
            NotFound: No such registration.
            NotYet: Ask again later.
        """
        begun = await self._gathering.ask(Due(registration_id, kind))
        return begun if begun is not None else await self._begin_alone(registration_id, kind)

    async def _begin_alone(self, registration_id: str, kind: LetterKind) -> StoredMail | Course:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            weighing, registration = await self._weigh(connection, registration_id, now)
            in_flight = await mails.find_in_flight(connection, registration.subject)
            mine = [mail for mail in in_flight if mail.registration_id == registration_id]
            others = [mail for mail in in_flight if mail not in mine and not await self._is_over(weighing, mail)]
            registration = await self._decided_afresh(weighing, registration_id)
            course = weighing.course(registration)
            if course.step is not STEP_OF[kind]:
                return await self._give_up(weighing, registration, mine)
            _insist_on_time(course, now)
            asker = weighing.question.registration_id if weighing.question else None
            if others or (kind is LetterKind.DOUBLE_OPT_IN and asker != registration_id):
                raise NotYet(ANOTHER_ON_ITS_WAY)  # one mail at a time leaves for a mailbox; it may answer for all
            contact = await contacts.find(connection, registration.subject)
            if contact is None:
                raise NotFound("contact")
            await insist_on_sound_set_up(connection, now)
            mail = mine[0] if mine else None
            if mail and mail.state == "attempting" and self._office.when_unsure == "hold":
                return await self._left(weighing, registration, mail.mail_id, "unsure", None)
            if mail is None:
                mail = await self._freeze(weighing, registration, contact, kind)
            if mail.state == "attempting":  # nobody knows how that attempt ended
                count_unsure()
            await mails.attempt(connection, mail.mail_id)
            return mail

    async def accepted(self, mail_id: UUID, reply: str) -> Course:
        """The server took the mail."""
        course = await self._gathering.ask(Taken(mail_id, status_of(reply)))
        return course if isinstance(course, Course) else await self._end(mail_id, "accepted", status_of(reply))

    async def unsure(self, mail_id: UUID, reply: str) -> Course | None:
        """The server had the whole mail and never answered: None when it is to be sent again."""
        if self._office.when_unsure == "retry":
            return None
        return await self._end(mail_id, "unsure", reply)

    async def postponed(self, mail_id: UUID, failure: SendingFailed) -> None:
        """The mail did not leave; the same bytes will be tried again."""
        async with self._database.transaction() as connection:
            await mails.rest(connection, mail_id, str(failure))
            count_postponed()
            if isinstance(failure, ConfigurationFault):
                await mail_fault.note(connection, str(failure), self._clock.now())

    async def refused(self, mail_id: UUID, failure: RecipientRefused) -> Course:
        """The mailbox does not exist: whoever asked or was about to tell ends undeliverable, and nothing follows."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            mail, weighing, registration = await self._mail(connection, mail_id, now)
            await mails.close(connection, mail_id, "refused", str(failure), now)
            count_mail(mail.purpose, "refused")
            await weighing.note(registration, "mail_refused", mail_id=str(mail_id), reply=str(failure))
            await end_undeliverable(weighing, registration, mail)
            return await self._course_now(weighing, registration.registration_id)

    async def lapse(self, registration_id: str) -> Course:
        """Nobody answered in time: every registration that shares the question lapses and the contact is erased.

        Raises:
            NotFound: No such registration.
            NotYet: There is time left for an answer.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            weighing, registration = await self._weigh(connection, registration_id, now)
            question = weighing.question
            if registration.state is State.AWAITING_CONFIRMATION and question:
                _insist_on_time(weighing.course(registration), now)
                await weighing.conclude("lapsed", State.LAPSED, "lapsed")
                await contacts.erase(connection, registration.subject)
                await ledger.append(
                    connection, now, "contact_erased", {"because": "lapsed"}, subject=registration.subject
                )
            return await self._course_now(weighing, registration_id)

    async def _handle(self, collect: Collect[Due | Taken]) -> Sequence[StoredMail | Course | None]:
        """Does in one transaction what is plain; if that fails, each is done alone, so that nobody pays for another."""
        asked: Sequence[Due | Taken] = ()
        try:
            async with self._database.transaction() as connection:
                asked = collect()
                return await self._leaving.handle(connection, asked, self._clock.now())
        except StorageUnavailable:
            raise
        except Exception as error:
            _log.error("letters cannot be handled together", error=type(error).__name__)
            return [None] * len(asked or collect())

    async def _end(self, mail_id: UUID, state: str, reply: str | None) -> Course:
        now = self._clock.now()
        async with self._database.transaction() as connection:
            _, weighing, registration = await self._mail(connection, mail_id, now)
            await mail_fault.clear(connection)
            return await self._left(weighing, registration, mail_id, state, reply)

    async def _left(
        self, weighing: Weighing, registration: Registration, mail_id: UUID, state: str, reply: str | None
    ) -> Course:
        """The mail left, for sure or for all we know: the question is asked, or the notice given."""
        await mails.close(weighing.connection, mail_id, state, reply, weighing.at)
        await weighing.note(registration, f"mail_{state}", mail_id=str(mail_id), reply=reply)
        mail = await mails.find(weighing.connection, mail_id)
        if mail:
            count_mail(mail.purpose, state)
        question = weighing.question
        if mail and question and question.question_id == mail.question_id:
            await self._asked(weighing, question.question_id)
        elif mail and mail.question_id is None:
            await weighing.record(Fact.NOTICE_SENT, weighing.at)
            if registration.state is State.WAITING:
                await weighing.move(registration, State.NOTIFIED, "notified")
        await weighing.reconsider()
        return await self._course_now(weighing, registration.registration_id)

    async def _asked(self, weighing: Weighing, question_id: UUID) -> None:
        until = self._policy.answer_until(weighing.at)
        await questions.asked(weighing.connection, question_id, weighing.at, until)
        await tokens.extend(weighing.connection, question_id, until)
        weighing.question = await questions.find(weighing.connection, question_id)
        for sharing in await registrations.find_by_question(weighing.connection, question_id):
            await weighing.move(sharing, State.AWAITING_CONFIRMATION, "asked")

    async def _weigh(
        self, connection: Connection, registration_id: str, now: datetime
    ) -> tuple[Weighing, Registration]:
        found = await registrations.find(connection, registration_id)
        if found is None:
            raise NotFound("registration")
        weighing = await Weighing.of(connection, self._policy, found.subject, now, being_told=registration_id)
        locked = await registrations.find(connection, registration_id)
        return weighing, locked or found

    async def _mail(
        self, connection: Connection, mail_id: UUID, now: datetime
    ) -> tuple[StoredMail, Weighing, Registration]:
        mail = await mails.find(connection, mail_id)
        if mail is None or mail.registration_id is None:
            raise NotFound("mail")
        return mail, *await self._weigh(connection, mail.registration_id, now)

    async def _is_over(self, weighing: Weighing, mail: StoredMail) -> bool:
        """Whether a mail in flight has no registration any more that would send it; then it comes to its end here."""
        sender = mail.registration_id
        registration = await registrations.find(weighing.connection, sender) if sender else None
        if registration is None or registration.state in OPEN:
            return False
        await self._give_up(weighing, registration, [mail])
        return True

    async def _give_up(self, weighing: Weighing, registration: Registration, in_flight: list[StoredMail]) -> Course:
        """The registration will not send these any more; whoever joined its question must not wait for it."""
        for mail in in_flight:
            if mail.state == "attempting":  # for all we know it has left
                return await self._left(weighing, registration, mail.mail_id, "unsure", None)
            for purpose in await mails.drop_in_flight(weighing.connection, registration.registration_id, weighing.at):
                count_mail(purpose, "dropped")
        await weighing.reconsider()
        return await self._course_now(weighing, registration.registration_id)

    async def _decided_afresh(self, weighing: Weighing, registration_id: str) -> Registration:
        registration = await registrations.find(weighing.connection, registration_id)
        if registration is None:
            raise NotFound("registration")
        if registration.state not in OPEN:
            return registration
        decided = await weighing.apply(registration, await weighing.decide(registration))
        if decided is not registration:
            await weighing.reconsider()
        return decided

    async def _freeze(
        self, weighing: Weighing, registration: Registration, contact: Contact, kind: LetterKind
    ) -> StoredMail:
        written = write(self._office, self._compose, self._policy, registration, contact, kind, weighing.at)
        await tokens.keep_all(weighing.connection, written.tokens)
        await mails.freeze(weighing.connection, written.stored, weighing.at)
        await weighing.note(registration, "mail_frozen", **written.noted)
        return written.stored

    async def _course_now(self, weighing: Weighing, registration_id: str) -> Course:
        registration = await registrations.find(weighing.connection, registration_id)
        if registration is None:
            raise NotFound("registration")
        return weighing.course(registration)


def _insist_on_time(course: Course, now: datetime) -> None:
    if course.at and course.at > now:
        raise NotYet(course.at - now)
