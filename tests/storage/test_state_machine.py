"""Random lives of a few mailboxes on real Postgres, step by step against a small model of what they should lead to.

Temporal is played by `Run`: it knows a registration's course only from the outbox and from what activities answer,
so a registration that waits for something nobody will do shows at once.
"""

import asyncio
import email
import email.policy
import re
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, TypeVar
from uuid import UUID, uuid4

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.vendor.pretty import RepresentationPrinter

from consentflow.domain.acts import COMMAND_LINE
from consentflow.domain.addresses import Subject, read_mailbox, subject_of
from consentflow.domain.bounces import InboundKind, Verdict
from consentflow.domain.consent import FACT_OF_EVENT
from consentflow.domain.errors import RecipientRefused, RegistrationClosed, RegistrationConflict, TransientFailure
from consentflow.domain.events import CloudEvent
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.letters import LetterKind
from consentflow.domain.registrations import Course, Step, course_of
from consentflow.domain.secrets import derive_key
from consentflow.operations.consent import LinkState
from consentflow.operations.posting import NotYet
from consentflow.runtime import Parts
from consentflow.storage import questions, registrations
from consentflow.storage.mails import StoredMail
from tests.conftest import HandClock, make_settings
from tests.storage.lives import run_lives

T = TypeVar("T")

# ── The model ────────────────────────────────────────────────────────────────────────────────────────────────────

MONTH = timedelta(days=30)
CONSENT = {"confirmed", "opted_in", "email_verified"}
STOP = {"erased", "objected", "complained", "hard_bounced"}
OPEN = {"accepted", "awaiting_confirmation", "waiting"}


class Named:
    """Shown by its short name where a failing life is told."""

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:  # noqa: ARG002 - Hypothesis' signature
        printer.text(repr(self))


@dataclass(eq=False)
class Lead(Named):
    """A registration, as the model sees it."""

    id: str
    country: str | None
    registered_at: datetime
    state: str = "accepted"

    def __repr__(self) -> str:
        return self.id


@dataclass(eq=False)
class Asked:
    """A question: pending until its mail has left, then open until an instant."""

    by: Lead
    until: datetime | None = None


@dataclass(eq=False)
class Mail(Named):
    """A mail that was handed to the mailer at least once."""

    lead: Lead
    kind: LetterKind
    question: Asked | None
    stored: StoredMail
    expires: datetime
    under_way: bool = True
    delivered: bool = False
    used: bool = False
    erased: bool = False  # its links are known to nobody any more

    def __repr__(self) -> str:
        return f"{self.kind} for {self.lead}"

    def token(self, purpose: str) -> str:
        assert self.stored.mail
        body = email.message_from_bytes(self.stored.mail.content, policy=email.policy.default).get_body(("plain",))
        found = re.search(rf"/{purpose}/([\w-]+)", body.get_content() if body else "")
        assert found
        return found[1]


@dataclass(eq=False)
class Person(Named):
    """A mailbox in all its spellings, and the rules of policy as they concern it."""

    spellings: tuple[str, ...]
    subject: Subject
    leads: list[Lead] = field(default_factory=list)
    mails: dict[UUID, Mail] = field(default_factory=dict)
    facts: set[str] = field(default_factory=set)
    question: Asked | None = None
    kept: bool = False  # the contact's personal data

    def __repr__(self) -> str:
        return self.spellings[0]

    def weigh(self) -> None:
        asked = self.question
        if asked and not asked.until and asked.by.state not in OPEN and not self.under_way(asked):
            self.question = None
        for lead in sorted(self.leads, key=lambda lead: not (self.question and self.question.by is lead)):
            if lead.state in OPEN:
                self.decide(lead)
        if not any(lead.state in {"accepted", "awaiting_confirmation"} for lead in self.leads):
            self.question = None

    def decide(self, lead: Lead) -> None:
        question = self.question
        told = bool(question and question.until)
        mine = question is not None and question.by is lead
        bound = lead.state == "awaiting_confirmation" or (question and mine and self.under_way(question))
        if self.facts & STOP:
            lead.state = "suppressed"
        elif bound or lead.country == "DE":
            if self.facts & CONSENT:
                lead.state = "confirmed"
            elif told:
                lead.state = "awaiting_confirmation"
            elif "notice_sent" in self.facts and not bound:
                lead.state = "notified"
            else:
                lead.state = "accepted"
                self.question = question or Asked(lead)
        elif lead.country == "US":
            lead.state = "no_contact"
        else:
            lead.state = "satisfied" if self.facts or told else "waiting"
        if mine and not told and lead.state != "accepted":
            self.question = None

    def conclude(self, state: str) -> None:
        for lead in self.leads:
            if lead.state in {"accepted", "awaiting_confirmation"}:
                lead.state = state
        self.question = None

    def left(self, mail: Mail, now: datetime) -> None:
        mail.under_way = False
        if mail.kind is LetterKind.NOTICE:
            self.facts.add("notice_sent")
            if mail.lead.state == "waiting":
                mail.lead.state = "notified"
        elif self.question and mail.question is self.question:
            self.question.until = mail.expires = now + MONTH
            for lead in self.leads:
                lead.state = "awaiting_confirmation" if lead.state == "accepted" else lead.state
        self.weigh()

    def forget_if_stopped(self) -> None:
        if self.facts & STOP:
            self.kept = False
            for lead in self.leads:
                lead.state = "suppressed" if lead.state == "confirmed" else lead.state

    def bounced(self, mail: Mail) -> None:
        self.facts.add("hard_bounced")
        if mail.question and mail.question is self.question:
            self.conclude("undeliverable")
        elif mail.lead.state in OPEN | {"notified"}:
            mail.lead.state = "undeliverable"
        self.weigh()
        self.keep_only_if_needed()

    def keep_only_if_needed(self) -> None:
        self.kept &= any(lead.state not in {"withdrawn", "suppressed", "lapsed"} for lead in self.leads)

    def under_way(self, question: Asked) -> bool:
        return any(mail.under_way and mail.question is question for mail in self.mails.values())


# ── The machine ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(eq=False)
class Run(Named):
    """A registration's workflow: its course, and the activity it is in."""

    lead: Lead
    person: Person
    course: Course
    busy: Step | None = None
    mail: Mail | None = None

    def __repr__(self) -> str:
        return f"{self.lead}: {self.busy or self.course.step}"

    @property
    def ended(self) -> bool:
        return self.busy is None and self.course.step is Step.END

    def hears(self, course: Course) -> None:
        if course.revision > self.course.revision:
            self.course = course


_number = count()


def _one_of(name: str) -> st.SearchStrategy[Any]:
    return st.runner().flatmap(lambda machine: st.sampled_from(getattr(machine, name)))


class Lives(RuleBasedStateMachine):
    """What may happen, in any order."""

    def __init__(self, parts: Parts, clock: HandClock, runner: asyncio.Runner) -> None:
        super().__init__()
        self.parts, self.clock, self.runner = parts, clock, runner
        self.key = derive_key(parts.settings.secret_key.get_secret_value(), "subject")
        self.people: list[Person] = []
        self.runs: dict[str, Run] = {}
        self.ledger: list[tuple[object, ...]] = []
        self.mail_ids: dict[str, set[str]] = {}

    @initialize()
    def everybody_is_new(self) -> None:
        number = next(_number)
        for spellings in (
            (f"lea.m{number}@gmail.com", f"LEAM{number}+sales@googlemail.com"),
            (f"Kim@firma{number}.example", f"kim@FIRMA{number}.example"),
        ):
            subject, other = (subject_of(read_mailbox(spelling), self.key) for spelling in spellings)
            assert subject == other
            self.people.append(Person(spellings, subject))

    # What can be picked from.

    @property
    def leads(self) -> list[tuple[Person, Lead]]:
        return [(person, lead) for person in self.people for lead in person.leads]

    @property
    def delivered(self) -> list[tuple[Person, Mail]]:
        return [
            (person, mail)
            for person in self.people
            for mail in person.mails.values()
            if mail.delivered and not mail.erased
        ]

    @property
    def questions(self) -> list[tuple[Person, Mail]]:
        return [(person, mail) for person, mail in self.delivered if mail.question]

    @property
    def due(self) -> list[Run]:
        now = self.clock.now()
        return [
            run
            for run in self.runs.values()
            if not run.ended and not run.mail and (run.busy or not run.course.at or run.course.at <= now)
        ]

    @property
    def on_the_wire(self) -> list[Run]:
        return [run for run in self.runs.values() if run.mail]

    # What happens.

    @rule(
        person=_one_of("people"),
        spelling=st.sampled_from([0, 1]),
        partner=st.sampled_from(["p1", "p2", "p3"]),
        country=st.sampled_from(["DE", "FR", None, "US"]),
        days_ago=st.sampled_from([0, 0, 0, 10, 40]),
    )
    def register(self, person: Person, spelling: int, partner: str, country: str | None, days_ago: int) -> None:
        now = self.clock.now()
        number = next(_number)
        request = RegistrationIn.model_validate(
            {
                "registration_id": f"r{number}",
                "partner_id": partner,
                "contact": {"email": person.spellings[spelling], "given_name": "Lea"},
                "company": {"domain": f"company{number}.example"},
                "country": country,
                "registered_at": (now - timedelta(days=days_ago)).isoformat(),
            }
        )
        lead = Lead(request.registration_id, country, now - timedelta(days=days_ago))
        _, new = self.run(self.parts.registrations.register(request))
        assert new
        person.leads.append(lead)
        person.decide(lead)
        person.kept |= lead.state != "suppressed"
        _, new = self.run(self.parts.registrations.register(request))
        assert not new
        try:
            self.run(self.parts.registrations.register(request.model_copy(update={"country": "Italia"})))
        except RegistrationConflict:
            return
        raise AssertionError("other content was taken under the same id")

    @rule(person=_one_of("people"), spelling=st.sampled_from([0, 1]), kind=st.sampled_from(sorted(FACT_OF_EVENT)))
    def tell_an_event(self, person: Person, spelling: int, kind: str) -> None:
        event = CloudEvent.model_validate(
            {
                "specversion": "1.0",
                "id": str(uuid4()),
                "source": "site",
                "type": kind,
                "data": {"email": person.spellings[spelling]},
            }
        )
        counts = self.run(self.parts.events.record([event, event]))
        assert (counts.accepted, counts.duplicate) == (1, 1)
        person.facts.add(FACT_OF_EVENT[kind].value)
        person.weigh()
        person.forget_if_stopped()

    @precondition(lambda self: self.leads)
    @rule(picked=_one_of("leads"), country=st.sampled_from(["DE", "FR", None, "US"]))
    def correct_location(self, picked: tuple[Person, Lead], country: str | None) -> None:
        person, lead = picked
        changeable = lead.state in OPEN | {"no_contact", "satisfied"} and person.kept
        try:
            self.run(self.parts.registrations.correct_location(lead.id, country))
        except RegistrationClosed:
            assert not changeable
            return
        assert changeable
        if country != lead.country:
            lead.country = country
            person.decide(lead)
            person.weigh()

    @precondition(lambda self: self.leads)
    @rule(picked=_one_of("leads"))
    def withdraw(self, picked: tuple[Person, Lead]) -> None:
        person, lead = picked
        changeable = lead.state in OPEN | {"no_contact", "satisfied", "withdrawn"}
        try:
            self.run(self.parts.registrations.withdraw(lead.id))
        except RegistrationClosed:
            assert not changeable
            return
        assert changeable
        if lead.state != "withdrawn":
            lead.state = "withdrawn"
            person.weigh()
            person.keep_only_if_needed()

    @precondition(lambda self: self.questions)
    @rule(picked=_one_of("questions"))
    def press_confirm(self, picked: tuple[Person, Mail]) -> None:
        person, mail = picked
        in_time = self.clock.now() < mail.expires
        link = self.run(self.parts.consent.confirm(mail.token("confirm")))
        agrees = bool(person.facts & CONSENT) and not person.facts & STOP
        if mail.used:  # a press stays a yes until it is taken back
            assert link.state is (LinkState.DONE if in_time and agrees else LinkState.UNUSABLE)
        elif mail.question is person.question:
            assert link.state is (LinkState.DONE if in_time else LinkState.UNUSABLE)
            if in_time:
                mail.used = True
                person.facts.add("confirmed")
                person.conclude("confirmed")
                person.weigh()
        elif link.state is LinkState.DONE:  # answered some other way already: the button only says yes once more
            assert agrees
            mail.used = True
            person.facts.add("confirmed")

    @precondition(lambda self: self.delivered)
    @rule(picked=_one_of("delivered"))
    def object_by_link(self, picked: tuple[Person, Mail]) -> None:
        person, mail = picked
        link = self.run(self.parts.consent.object(mail.token("unsubscribe")))
        assert link.state is LinkState.DONE
        person.facts.add("objected")
        person.weigh()
        person.forget_if_stopped()

    @precondition(lambda self: self.delivered)
    @rule(picked=_one_of("delivered"))
    def withdraw_consent(self, picked: tuple[Person, Mail]) -> None:
        person, mail = picked
        assert self.run(self.parts.preferences.withdraw(mail.token("preferences")))
        if person.facts & CONSENT:
            person.facts -= CONSENT
            for lead in person.leads:
                lead.state = "withdrawn" if lead.state == "confirmed" else lead.state
            person.weigh()
            person.keep_only_if_needed()
        self.clock.pass_time(seconds=1)  # whoever consents anew does so later

    @rule(person=_one_of("people"), spelling=st.sampled_from([0, 1]))
    def erase(self, person: Person, spelling: int) -> None:
        done = self.run(self.parts.erasures.erase(person.spellings[spelling], COMMAND_LINE))
        assert done.subject == person.subject
        assert done.removed["contact"] == person.kept
        for mail in person.mails.values():
            mail.erased = True
        person.facts.add("erased")
        person.weigh()
        person.forget_if_stopped()

    @precondition(lambda self: self.delivered)
    @rule(picked=_one_of("delivered"), kind=st.sampled_from([InboundKind.HARD_BOUNCE, InboundKind.COMPLAINT]))
    def something_comes_back(self, picked: tuple[Person, Mail], kind: InboundKind) -> None:
        person, mail = picked
        assert mail.stored.mail
        address = mail.stored.mail.envelope_from.lower()
        assert self.run(self.parts.bounces.take(Verdict(kind, "5.1.1", True, address)))
        if kind is InboundKind.HARD_BOUNCE and "hard_bounced" not in person.facts:
            person.bounced(mail)
        if kind is InboundKind.COMPLAINT and "complained" not in person.facts:
            person.facts.add("complained")
            person.weigh()
            person.forget_if_stopped()

    @precondition(lambda self: self.due)
    @rule(run=_one_of("due"))
    def take_a_step(self, run: Run) -> None:
        """A worker takes the activity that the workflow has come to, or tries it again."""
        person, lead, now = run.person, run.lead, self.clock.now()
        step = run.busy = run.busy or run.course.step
        if step is Step.LAPSE:
            with suppress(NotYet):
                was_open = lead.state == "awaiting_confirmation"
                self.answered(run, self.run(self.parts.sending.lapse(lead.id)))
                if was_open:
                    assert person.question
                    assert person.question.until
                    assert person.question.until <= now
                    person.conclude("lapsed")
                    person.kept = False
            return
        kind = LetterKind.DOUBLE_OPT_IN if step is Step.SEND_DOUBLE_OPT_IN else LetterKind.NOTICE
        sends = {"double_opt_in": "accepted", "notice": "waiting"}[kind]
        self.count_lost_mails_as_left(person, lead, sends)
        try:
            outcome = self.run(self.parts.sending.begin(lead.id, kind))
        except NotYet:
            waits_for = [other for other in self.runs.values() if other.person is person and other is not run]
            assert any(other.busy for other in waits_for) or (person.question and person.question.by is not lead)
            return
        if isinstance(outcome, Course):
            self.answered(run, outcome)
            return
        assert lead.state == sends
        assert kind is LetterKind.DOUBLE_OPT_IN or now >= lead.registered_at + MONTH
        assert not person.facts & STOP
        others = [mail for key, mail in person.mails.items() if key != outcome.mail_id and mail.under_way]
        assert not [mail for mail in others if mail.lead.state in OPEN]
        asks = person.question if kind is LetterKind.DOUBLE_OPT_IN else None
        known = person.mails.setdefault(outcome.mail_id, Mail(lead, kind, asks, outcome, now + MONTH))
        assert known.stored.mail == outcome.mail
        known.under_way = True
        run.mail = known

    def count_lost_mails_as_left(self, person: Person, lead: Lead, sends: str) -> None:
        """For all we know an attempt that has not come back was taken; nobody will make it again."""
        lost = [mail for mail in person.mails.values() if mail.under_way]
        for mail in lost:
            if mail.lead is not lead and mail.lead.state not in OPEN:
                person.left(mail, self.clock.now())
        person.weigh()
        for mail in lost:
            if mail.lead is lead and lead.state != sends:
                person.left(mail, self.clock.now())

    @precondition(lambda self: self.on_the_wire)
    @rule(
        run=_one_of("on_the_wire"),
        end=st.sampled_from(["accepted", "accepted", "accepted", "refused", "postponed", "unsure", "died", "unread"]),
    )
    def an_attempt_ends(self, run: Run, end: str) -> None:
        """The SMTP conversation ends, or its worker does; or the worker dies after it wrote down how it ended."""
        assert run.mail
        person, mail, now = run.person, run.mail, self.clock.now()
        sending, mail_id = self.parts.sending, run.mail.stored.mail_id
        run.mail = None
        mail.delivered |= end in {"accepted", "unsure", "unread"}
        match end:
            case "accepted" | "unread":
                course = self.run(sending.accepted(mail_id, "2.0.0 taken"))
                person.left(mail, now)
                if end == "accepted":
                    self.answered(run, course)
            case "refused":
                course = self.run(sending.refused(mail_id, RecipientRefused("rcpt", 550, "5.1.1")))
                mail.under_way = False
                person.bounced(mail)
                self.answered(run, course)
            case "postponed":
                self.run(sending.postponed(mail_id, TransientFailure("rcpt", 451, "4.7.1")))
                mail.under_way = False
            case "unsure":
                assert self.run(sending.unsure(mail_id, "data")) is None

    @precondition(lambda self: self.due or self.on_the_wire)
    @rule()
    def all_goes_well_for_a_while(self) -> None:
        """Whatever is due is done at once; who has to wait for another is tried again after it."""
        for _ in range(2):
            for run in self.on_the_wire:
                self.an_attempt_ends(run, "accepted")
            for run in self.due:
                if run in self.due:  # another one's mail may have answered for it meanwhile
                    self.take_a_step(run)
                if run.mail:
                    self.an_attempt_ends(run, "accepted")
                self.run(self.check())

    @rule(by=st.sampled_from([{"minutes": 7}, {"hours": 20}, {"days": 11}, {"days": 29, "hours": 23}, {"days": 31}]))
    def time_passes(self, by: dict[str, float]) -> None:
        self.clock.pass_time(**by)

    # What must be true after every step.

    @invariant()
    def all_is_as_the_model_says(self) -> None:
        if self.people:
            self.run(self.check())

    async def check(self) -> None:
        subjects = [person.subject for person in self.people]
        async with self.parts.database.transaction() as connection:
            fetch = partial(connection.fetch, timeout=30)
            for row in await fetch("DELETE FROM outbox RETURNING *"):
                self.temporal_hears(row["topic"], row["payload"])
            ledger = await fetch("SELECT * FROM ledger WHERE subject = ANY($1) ORDER BY entry_id", subjects)
            contacts = await fetch("SELECT subject FROM contacts WHERE subject = ANY($1)", subjects)
            bytes_of = await fetch(
                "SELECT subject FROM mails WHERE subject = ANY($1) AND content IS NOT NULL", subjects
            )
            kept, mailed = {row["subject"] for row in contacts}, {row["subject"] for row in bytes_of}
            for person in self.people:
                question = (await questions.find_open(connection, [person.subject])).get(person.subject)
                for lead in person.leads:
                    stored = await registrations.find(connection, lead.id)
                    assert stored
                    assert (lead, stored.state) == (lead, lead.state)
                    course = course_of(stored, question.answer_until if question else None)
                    self.somebody_will(self.runs.get(lead.id), course, lead, person)
                assert (question is None) == (person.question is None)
                assert question is None or person.question is None or question.answer_until == person.question.until
                assert (person, person.subject in kept) == (person, person.kept)
                assert person.kept or not any(lead.state in OPEN for lead in person.leads)
                assert person.kept or person.subject not in mailed
        entries = [tuple(row.values()) for row in ledger]
        assert entries[: len(self.ledger)] == self.ledger
        self.ledger = entries

    def somebody_will(self, run: Run | None, course: Course, lead: Lead, person: Person) -> None:
        """Nothing waits for something nobody will do."""
        asker = person.question.by if person.question else None
        if lead.state == "accepted" and lead is not asker:  # it has joined: the question's mail moves it on
            assert asker
            first = self.runs[asker.id]
            assert first.busy or (first.course.step, asker.state) == (Step.SEND_DOUBLE_OPT_IN, "accepted")
        elif lead.state in OPEN:
            assert run
            assert run.busy or run.course == course
        else:
            assert run is None or run.busy or run.course.step is Step.END

    @invariant()
    def one_mail_per_question_and_one_notice_per_mailbox(self) -> None:
        for person in self.people:
            sent = [mail for mail in person.mails.values() if mail.delivered]
            notices = [mail for mail in sent if mail.kind is LetterKind.NOTICE]
            asked = [mail.question for mail in sent if mail.question]
            assert len(notices) <= 1
            assert len(set(asked)) == len(asked)

    # Temporal, played.

    def temporal_hears(self, topic: str, payload: dict[str, Any]) -> None:
        found = [(person, lead) for person, lead in self.leads if lead.id == payload["registration_id"]]
        if not found:  # left over from a life that failed
            return
        person, lead = found[0]
        run = self.runs.get(lead.id)
        at = datetime.fromisoformat(payload["at"]) if payload["at"] else None
        course = Course(payload["revision"], Step(payload["step"]), at)
        if run is None or (run.ended and topic == "registration.steer"):
            self.runs[lead.id] = Run(lead, person, course)
        elif topic == "registration.steer":
            run.hears(course)

    def answered(self, run: Run, course: Course) -> None:
        done, run.busy = run.busy, None
        run.hears(course)
        assert run.course.step is not done, "it would take the same step again and again"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)


@pytest.fixture
async def parts(database_url: str, clock: HandClock) -> AsyncIterator[Parts]:
    mail = {"from": "privacy@controller.example", "bounce_domain": "bounces.controller.example"}
    built = Parts(make_settings(database_url, mail=mail), clock)
    async with built.database:
        yield built


@pytest.mark.timeout(900)  # only a failing life takes so long: until it is told in as few words as possible
def test_random_lives_go_as_the_policy_says(parts: Parts, clock: HandClock) -> None:
    run_lives(partial(Lives, parts, clock), parts, lives=150, steps=30)
