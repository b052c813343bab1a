"""Weighing: registrations of a subject are decided again from what is on record now.

Whatever happens to a subject (it registers, answers, objects, reads, bounces, is mailed) ends here, so there is one
place where a decision becomes a state, a ledger entry and a message to Temporal.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
from uuid import uuid4

from consentflow.domain.addresses import Subject
from consentflow.domain.consent import Fact, Question, Record
from consentflow.domain.errors import RegistrationConflict
from consentflow.domain.policy import Decision, Lead, Policy, Reason, decide
from consentflow.domain.registrations import Course, Registration, State, course_of
from consentflow.operations.announcing import START, STEER, announce
from consentflow.operations.counting import count_mail, count_registration
from consentflow.storage import contacts, facts, ledger, mails, questions, registrations
from consentflow.storage.pool import Connection, lock_subject
from consentflow.storage.questions import AskedQuestion


@dataclass(slots=True)
class Weighing:
    """One subject's record, held still for the length of a transaction.

    Args:
        facts: On record about the subject.
        question: The question the mailbox has open.
        being_told: The registration whose workflow is asking right now; it gets its course as the answer, so nothing
            is written to the outbox for it.
    """

    connection: Connection
    policy: Policy
    subject: Subject
    at: datetime
    facts: frozenset[Fact]
    question: AskedQuestion | None
    being_told: str | None = None

    @classmethod
    async def of(
        cls,
        connection: Connection,
        policy: Policy,
        subject: Subject,
        at: datetime,
        *,
        being_told: str | None = None,
    ) -> Self:
        """Locks the subject and reads its record."""
        await lock_subject(connection, subject)
        on_record = await facts.of_subject(connection, subject)
        question = await questions.find_open(connection, subject)
        return cls(connection, policy, subject, at, on_record, question, being_told)

    async def decide(self, registration: Registration) -> Decision:
        """What the policy says of a registration now; changes nothing."""
        question, asked = self.question, False
        stage = question.stage if question else Question.NONE
        if question and registration.question_id == question.question_id:
            asked = stage is Question.OPEN
            if question.registration_id == registration.registration_id and stage is Question.PENDING:
                # Its own question: about to be asked, or, if an attempt is under way, possibly asked already.
                stage = Question.NONE
                asked = await mails.attempt_under_way(self.connection, question.question_id)
        lead = Lead(registration.country, registration.registered_at, asked)
        return decide(self.policy, lead, Record(self.facts, stage), self.at)

    async def apply(self, registration: Registration, decision: Decision, *, new: bool = False) -> Registration:
        """Takes a registration where the decision says; a decision that changes nothing leaves no trace."""
        state = decision.state
        asking = self.question is not None and self.question.registration_id == registration.registration_id
        if state is State.AWAITING_CONFIRMATION and self.question and self.question.stage is Question.PENDING:
            state = State.ACCEPTED  # its mail is on its way; the question counts as asked once it has left
        must_ask = state is State.ACCEPTED and not decision.joins and not asking
        stays = (state, decision.regime) == (registration.state, registration.regime)
        same_reason = decision.reason in (registration.reason, Reason.ALREADY_ASKED)  # why it asked outlives the asking
        if not new and not must_ask and stays and same_reason:
            return registration

        if must_ask:
            self.question = AskedQuestion(uuid4(), self.subject, registration.registration_id, None, None, None)
            await questions.put(
                self.connection, self.question.question_id, self.subject, registration.registration_id, self.at
            )
            asking = True
        elif asking and self.question and self.question.stage is Question.PENDING and state is not State.ACCEPTED:
            await self.drop_question()
            asking = False

        joined = self.question.question_id if self.question and (asking or decision.joins) else registration.question_id
        settled = replace(
            registration,
            regime=decision.regime,
            reason=decision.reason,
            state=state,
            due_at=decision.due_at,
            policy_version=decision.policy_version,
            question_id=None if state is State.WAITING else joined,
        )
        redirected = new or self.course(settled) != self.course(registration)
        if redirected:
            settled = replace(settled, revision=registration.revision + 1)
        if new:
            if not await registrations.insert(self.connection, settled):
                raise RegistrationConflict(registration.registration_id)
        else:
            await registrations.update(self.connection, settled)
        if new or not stays:
            count_registration(settled)
        await self.note(settled, "decided", reason=settled.reason, due_at=_text(settled.due_at))
        if redirected and not (state is State.ACCEPTED and decision.joins):  # joiners hear when the question has left
            await self.tell(settled, START if new else STEER)
        return settled

    async def move(self, registration: Registration, state: State, event: str) -> Registration:
        """Takes a registration to a state that follows from what happened, not from a decision."""
        moved = replace(registration, state=state, revision=registration.revision + 1)
        await registrations.update(self.connection, moved)
        count_registration(moved)
        await self.note(moved, event)
        await self.tell(moved, STEER)
        return moved

    async def conclude(self, outcome: str, state: State, event: str) -> None:
        """Closes the open question; every registration that shares it goes to the same state."""
        if self.question is None:
            return
        for registration in await registrations.find_by_question(self.connection, self.question.question_id):
            await self.move(registration, state, event)
        await questions.close(self.connection, self.question.question_id, outcome, self.at)
        self.question = None

    async def drop_question(self) -> None:
        """Gives up a question; a mail that has not been tried yet stays here."""
        if self.question is not None:
            await questions.close(self.connection, self.question.question_id, "dropped", self.at)
            for purpose in await mails.drop_in_flight(self.connection, self.question.registration_id, self.at):
                count_mail(purpose, "dropped")
            self.question = None

    async def reconsider(self) -> None:
        """Weighs every open registration of the subject again, whoever asks a question first."""
        waiting = await registrations.find_open(self.connection, self.subject)
        asker = self.question.registration_id if self.question else None
        asker_gone = asker not in {registration.registration_id for registration in waiting}
        if self.question and self.question.stage is Question.PENDING and asker_gone:
            await self._give_up_unless_leaving(self.question)
        for registration in sorted(waiting, key=lambda each: each.registration_id != asker):
            await self.apply(registration, await self.decide(registration))
        await self._close_answered_question()

    async def record(self, fact: Fact, occurred_at: datetime) -> None:
        """Puts a fact on record, and counts it from now on."""
        await facts.record(self.connection, self.subject, fact, occurred_at, self.at)
        self.facts |= {fact}

    async def note(self, registration: Registration, event: str, **detail: str | int | bool | None) -> None:
        """Writes to the ledger what happened to a registration, and where it stands."""
        standing = {
            "state": registration.state.value,
            "regime": str(registration.regime),
            "policy_version": registration.policy_version,
        }
        await ledger.append(
            self.connection,
            self.at,
            event,
            {key: value for key, value in (standing | detail).items() if value is not None},
            subject=self.subject,
            registration_id=registration.registration_id,
        )

    async def tell(self, registration: Registration, topic: str) -> None:
        """Writes to the outbox what the registration's workflow must hear."""
        if registration.registration_id == self.being_told:
            return
        await announce(self.connection, registration, self.question.answer_until if self.question else None, topic)

    def course(self, registration: Registration) -> Course:
        """The course that fits where the registration stands."""
        return course_of(registration, self.question.answer_until if self.question else None)

    async def forget_unless_needed(self) -> None:
        """The contact's personal data goes with the last registration that has a use for it."""
        if not await registrations.contact_needed(self.connection, self.subject):
            await contacts.erase(self.connection, self.subject)

    async def _give_up_unless_leaving(self, question: AskedQuestion) -> None:
        # While its mail may be leaving the question stays for those who joined; the attempt's end decides.
        if not await mails.attempt_under_way(self.connection, question.question_id):
            await self.drop_question()

    async def _close_answered_question(self) -> None:
        if self.question is None or await registrations.find_by_question(self.connection, self.question.question_id):
            return
        record = Record(self.facts)
        if record.suppressed_by:
            await questions.close(self.connection, self.question.question_id, "suppressed", self.at)
        elif record.consented:
            await questions.close(self.connection, self.question.question_id, "confirmed", self.at)
        else:
            await self.drop_question()
        self.question = None


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant is not None else None
