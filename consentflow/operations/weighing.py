"""Weighing: registrations of a subject are decided again from what is on record now.

Whatever happens to a subject (it registers, answers, objects, reads, bounces, is mailed) ends here, so there is one
place where a decision becomes a state, a ledger entry and a message to Temporal.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
from uuid import uuid4

from consentflow.domain.addresses import Subject
from consentflow.domain.consent import Fact, Question, Record
from consentflow.domain.policy import Decision, Lead, Policy, Reason, decide
from consentflow.domain.registrations import Course, Registration, State, course_of
from consentflow.operations.announcing import START, STEER, announce
from consentflow.operations.counting import count_mail, count_registration
from consentflow.storage import contacts, facts, ledger, mails, questions, registrations
from consentflow.storage.ledger import Entry
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
        weighings = await cls.of_all(connection, policy, [subject], at)
        return replace(weighings[subject], being_told=being_told)

    @classmethod
    async def of_all(
        cls, connection: Connection, policy: Policy, subjects: Collection[Subject], at: datetime
    ) -> dict[Subject, Self]:
        """Reads the records of subjects whose locks the caller holds."""
        on_record = await facts.of_subjects(connection, subjects)
        open_questions = await questions.find_open(connection, subjects)
        return {
            subject: cls(connection, policy, subject, at, on_record[subject], open_questions.get(subject))
            for subject in subjects
        }

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

    async def take(self, draft: Registration) -> tuple[Registration, list[Entry]]:
        """Takes a registration that is new where the policy says, and says what was noted of it.

        Its row, and that of the question if it asks one, are the caller's to write.
        """
        decision = await self.decide(draft)
        state = self._state_of(decision)
        asks = state is State.ACCEPTED and not decision.joins
        if asks:
            self.question = self._question_of(draft)
        taken = self._settled(draft, decision, state, shares=asks or decision.joins)
        count_registration(taken)
        noted = await self._note_decision(taken)
        if asks or state is not State.ACCEPTED:  # joiners hear when the question has left
            await self.tell(taken, START)
        return taken, [noted]

    async def apply(self, registration: Registration, decision: Decision) -> Registration:
        """Takes a registration where the decision says; a decision that changes nothing leaves no trace."""
        settled = await self._follow(registration, decision)
        if settled is not registration:
            await registrations.update_all(self.connection, [settled])
        return settled

    async def _follow(self, registration: Registration, decision: Decision) -> Registration:
        """As `apply`, but that the registration's row is the caller's to write."""
        state = self._state_of(decision)
        asking = self.question is not None and self.question.registration_id == registration.registration_id
        must_ask = state is State.ACCEPTED and not decision.joins and not asking
        stays = (state, decision.regime) == (registration.state, registration.regime)
        same_reason = decision.reason in (registration.reason, Reason.ALREADY_ASKED)  # why it asked outlives the asking
        if not must_ask and stays and same_reason:
            return registration

        if must_ask:
            self.question = self._question_of(registration)
            await questions.put_all(self.connection, [self.question], self.at)
            asking = True
        elif asking and self.question and self.question.stage is Question.PENDING and state is not State.ACCEPTED:
            await self.drop_question()
            asking = False

        settled = self._settled(registration, decision, state, shares=asking or decision.joins)
        redirected = self.course(settled) != self.course(registration)
        if redirected:
            settled = replace(settled, revision=registration.revision + 1)
        if not stays:
            count_registration(settled)
        await self._note_decision(settled)
        if redirected and not (state is State.ACCEPTED and decision.joins):  # joiners hear when the question has left
            await self.tell(settled, STEER)
        return settled

    async def move(self, registration: Registration, state: State, event: str) -> Registration:
        """Takes a registration to a state that follows from what happened, not from a decision."""
        moved = replace(registration, state=state, revision=registration.revision + 1)
        await registrations.update_all(self.connection, [moved])
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
        await reconsider_all([self])

    async def reconsider_those(self, waiting: Sequence[Registration]) -> list[Registration]:
        """Weighs the subject's open registrations again: these.

        Returns:
            Those that changed; their rows are the caller's to write.
        """
        asker = self.question.registration_id if self.question else None
        asker_gone = asker not in {registration.registration_id for registration in waiting}
        if self.question and self.question.stage is Question.PENDING and asker_gone:
            await self._give_up_unless_leaving(self.question)
        changed = []
        for registration in sorted(waiting, key=lambda each: each.registration_id != asker):
            settled = await self._follow(registration, await self.decide(registration))
            if settled is not registration:
                changed.append(settled)
        if self.question is None:
            return changed
        await registrations.update_all(self.connection, changed)
        await self._close_answered_question()
        return []

    async def record(self, fact: Fact, occurred_at: datetime) -> None:
        """Puts a fact on record, and counts it from now on."""
        await facts.record(self.connection, self.subject, fact, occurred_at, self.at)
        self.facts |= {fact}

    async def note(self, registration: Registration, event: str, **detail: str | int | bool | None) -> Entry:
        """Writes to the ledger what happened to a registration, and where it stands."""
        standing = {
            "state": registration.state.value,
            "regime": str(registration.regime),
            "policy_version": registration.policy_version,
        }
        entry = Entry(self.at, event, ledger.as_read(standing | detail))
        await ledger.append(
            self.connection,
            entry.at,
            entry.event,
            entry.detail,
            subject=self.subject,
            registration_id=registration.registration_id,
        )
        return entry

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

    def _state_of(self, decision: Decision) -> State:
        if decision.state is State.AWAITING_CONFIRMATION and self.question and self.question.stage is Question.PENDING:
            return State.ACCEPTED  # its mail is on its way; the question counts as asked once it has left
        return decision.state

    def _question_of(self, asker: Registration) -> AskedQuestion:
        return AskedQuestion(uuid4(), self.subject, asker.registration_id, None, None, None)

    def _settled(self, registration: Registration, decision: Decision, state: State, *, shares: bool) -> Registration:
        """The registration where the decision takes it, of its course so far.

        Args:
            shares: It asks the open question or joins it.
        """
        shared = self.question.question_id if self.question and shares else registration.question_id
        return replace(
            registration,
            regime=decision.regime,
            reason=decision.reason,
            state=state,
            due_at=decision.due_at,
            policy_version=decision.policy_version,
            question_id=None if state is State.WAITING else shared,
        )

    async def _note_decision(self, registration: Registration) -> Entry:
        return await self.note(registration, "decided", reason=registration.reason, due_at=_text(registration.due_at))

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


async def reconsider_all(weighings: Sequence[Weighing]) -> None:
    """Weighs every open registration of several subjects again, all held still by one transaction."""
    if weighings:
        open_ones = await registrations.find_open(weighings[0].connection, [each.subject for each in weighings])
        changed: list[Registration] = []
        for each in weighings:
            changed += await each.reconsider_those(open_ones[each.subject])
        await registrations.update_all(weighings[0].connection, changed)


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant is not None else None
