"""Random lives of subscribers on real Postgres, step by step against a small model of what they should be told.

Temporal is played: a digest's workflow exists only if the outbox told of it, wakes no earlier than it was told, and its
worker may die anywhere. So a digest that nobody will tell shows at once.
"""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter
from typing import Any, TypeVar
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.vendor.pretty import RepresentationPrinter

from consentflow.domain.errors import RecipientRefused, TransientFailure
from consentflow.domain.notifications import OLDEST_TOLD, Action, Delivery, hour_of
from consentflow.domain.partners import DEFAULT_TIME_ZONE, Choice, Subscriber, SubscriberKind, SubscriberState
from consentflow.domain.windows import window_end
from consentflow.operations.digests import START
from consentflow.operations.posting import NotYet, Outcome
from consentflow.runtime import Parts
from consentflow.storage.mails import StoredMail
from tests.conftest import HandClock
from tests.storage.lives import run_lives
from tests.storage.partner_side import Crash, Key, PartnerSide

T = TypeVar("T")

PARTNERS = ("p", "q")
COMPANIES = ("one.example", "two.example", "three.example")
ACTIONS = (Action.DEMO_REQUESTED, Action.PRICING_VIEWED)

# ── The model ────────────────────────────────────────────────────────────────────────────────────────────────────


class Named:
    """Shown by its short name where a failing life is told."""

    def _repr_pretty_(self, printer: RepresentationPrinter, cycle: bool) -> None:  # noqa: ARG002 - Hypothesis' signature
        printer.text(repr(self))


@dataclass(eq=False)
class Owned:
    """A company, and whose it is."""

    partner: str
    since: datetime
    until: datetime


@dataclass(eq=False)
class Collected:
    """A digest that is open."""

    due: datetime
    revision: int = 0


@dataclass(eq=False, repr=False)
class Mail:
    """A mail that was frozen."""

    id: UUID
    told: Counter[Key]
    send_until: datetime
    state: str = "frozen"
    delivered: bool = False
    taken_back: bool = False


@dataclass(eq=False, repr=False)
class Person(Named):
    """A subscriber, and what it has been told."""

    stored: Subscriber
    follows: tuple[str, ...]
    before: Counter[Key]  # what had happened when it subscribed; the hours of both may be the same
    collected: Collected | None = None
    mails: list[Mail] = field(default_factory=list)
    gone: bool = False

    def __repr__(self) -> str:
        return self.stored.email.partition("@")[0]

    @property
    def active(self) -> bool:
        return self.stored.state is SubscriberState.ACTIVE and not self.gone

    def window_end(self, now: datetime) -> datetime:
        choice = self.stored.choice
        return window_end(choice.delivery, choice.hour, choice.weekday, DEFAULT_TIME_ZONE, now)

    @property
    def told(self) -> Counter[Key]:
        return sum((mail.told for mail in self.mails if not mail.taken_back), Counter[Key]())


@dataclass
class World:
    """What has happened, and what follows from it."""

    owned: dict[str, Owned] = field(default_factory=dict)
    happened: dict[str, Counter[Key]] = field(default_factory=lambda: {partner: Counter() for partner in PARTNERS})

    def owner(self, domain: str, now: datetime) -> str | None:
        owned = self.owned.get(domain)
        return owned.partner if owned and now < owned.until else None

    def why_not(self, person: Person, key: Key, now: datetime) -> str | None:
        """Why somebody is not to be told of something that its partner's company did."""
        domain, action, hour = key
        subscriber, owned = person.stored, self.owned.get(domain)
        if subscriber.since is None or hour < hour_of(subscriber.since):
            return "before it subscribed"
        if hour < now - OLDEST_TOLD:
            return "too old"
        if self.owner(domain, now) != subscriber.partner_id or owned is None or hour < hour_of(owned.since):
            return "not owned"
        if subscriber.choice.actions is not None and action not in subscriber.choice.actions:
            return "not wanted"
        if subscriber.kind is SubscriberKind.GROWTH_SPECIALIST and domain not in person.follows:
            return "not followed"
        return None

    def untold(self, person: Person, now: datetime) -> Counter[Key]:
        left = self.happened[person.stored.partner_id] - person.told
        return Counter({key: n for key, n in left.items() if self.why_not(person, key, now) is None})

    def reschedule(self, person: Person, now: datetime) -> None:
        collected, end = person.collected, person.window_end(now)
        if not person.active:
            person.collected = None
        elif collected is None:
            person.collected = Collected(end) if self.untold(person, now) else None
        elif (
            collected.due > now
            and collected.due != end
            and (person.stored.choice.delivery is not Delivery.IMMEDIATE or end < collected.due)
        ):
            collected.due, collected.revision = end, collected.revision + 1


# ── The machine ──────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(eq=False, repr=False)
class Run(Named):
    """A digest's workflow, asleep until it is due; then it has an activity made again and again until it ends."""

    person: Person
    digest_id: UUID
    revision: int
    wakes: datetime
    mail: Mail | None = None
    on_the_wire: bool = False
    ended: bool = False

    def __repr__(self) -> str:
        return f"digest of {self.person}, revision {self.revision}"


def _one_of(name: str) -> st.SearchStrategy[Any]:
    return st.runner().flatmap(lambda machine: st.sampled_from(getattr(machine, name)))


CHOICES = st.builds(
    Choice,
    actions=st.sampled_from([None, None, frozenset(ACTIONS[:1]), frozenset(ACTIONS[1:])]),
    delivery=st.sampled_from([Delivery.IMMEDIATE, Delivery.IMMEDIATE, Delivery.DAILY, Delivery.WEEKLY]),
    hour=st.sampled_from([2, 8, 17]),
    weekday=st.sampled_from([0, 6]),
)
COMES_BETWEEN = ("pause", "pause", "sale", "sale", "leaving", "two weeks")
AGO = st.sampled_from(
    [*[timedelta()] * 4, timedelta(minutes=50), timedelta(hours=5), timedelta(days=3), timedelta(days=15)]
)


class Lives(RuleBasedStateMachine):
    """What may happen, in any order."""

    def __init__(self, parts: Parts, clock: HandClock, runner: asyncio.Runner) -> None:
        super().__init__()
        self.side, self.clock, self.runner = PartnerSide(parts, clock), clock, runner
        self.world = World()
        self.people: list[Person] = []
        self.runs: dict[tuple[UUID, int], Run] = {}

    @initialize(start=st.sampled_from(["2026-11-22T09:20:00+00:00", "2027-03-26T22:40:00+00:00"]))
    def nothing_has_happened(self, start: str) -> None:
        self.do(self.side.fetch("TRUNCATE subscribers, specialist_companies, told, digests, ownerships, mails, outbox"))
        self.do(self.side.fetch("TRUNCATE company_actions"))
        self.clock.at = datetime.fromisoformat(start)
        for domain, partner in zip(COMPANIES, ("p", "p", "q"), strict=True):
            self.give(domain, partner, 180)
        self.clock.pass_time(days=1)
        for delivery in Delivery:
            self.subscribe("p", Choice(delivery=delivery), None)

    # What can be picked from.

    @property
    def here(self) -> list[Person]:
        return [person for person in self.people if not person.gone]

    @property
    def awake(self) -> list[Run]:
        now = self.clock.now()
        return [run for run in self.in_order if not run.ended and not run.on_the_wire and run.wakes <= now]

    @property
    def lying(self) -> list[Run]:
        """Their mail is frozen, and nobody is sending it."""
        return [run for run in self.awake if run.mail and run.mail.state == "frozen" and not run.person.gone]

    @property
    def collecting(self) -> list[Person]:
        return [person for person in self.here if person.collected]

    @property
    def wired(self) -> list[Run]:
        return [run for run in self.in_order if run.on_the_wire]

    @property
    def in_order(self) -> list[Run]:
        """All workflows, in an order that is the same whenever the same life is lived."""
        return sorted(self.runs.values(), key=lambda run: self.people.index(run.person))

    # What happens.

    @precondition(lambda self: len(self.people) < 7)
    @rule(
        partner=st.sampled_from(["p", "p", "q"]),
        choice=CHOICES,
        follows=st.sampled_from([None, None, COMPANIES[:1], COMPANIES[1:]]),
    )
    def subscribe(self, partner: str, choice: Choice, follows: tuple[str, ...] | None) -> None:
        kind = SubscriberKind.PARTNER if follows is None else SubscriberKind.GROWTH_SPECIALIST
        subscriber = self.do(self.side.subscribe(partner, choice, kind=kind, follows=follows or ()))
        self.people.append(Person(subscriber, follows or (), Counter(self.world.happened[partner])))

    @rule(
        what=st.lists(
            st.tuples(st.sampled_from(COMPANIES), st.sampled_from([*ACTIONS, ACTIONS[0]]), AGO), min_size=1, max_size=3
        ),
        times=st.sampled_from([1, 1, 3]),
    )
    def companies_do_something(self, what: list[tuple[str, Action, timedelta]], times: int) -> None:
        now = self.clock.now()
        self.do(self.side.happens(*((domain, action, now - ago) for domain, action, ago in what), times=times))
        for domain, action, ago in what:
            partner, owned = self.world.owner(domain, now), self.world.owned.get(domain)
            if partner is None or owned is None or now - ago < owned.since:
                continue
            key = (domain, action, hour_of(now - ago))
            self.world.happened[partner][key] += times
            for person in self.here:
                concerned = person.active and person.stored.partner_id == partner
                if concerned and not person.collected and self.world.why_not(person, key, now) is None:
                    person.collected = Collected(person.window_end(now))

    @precondition(lambda self: self.here)
    @rule(person=_one_of("here"), choice=CHOICES)
    def choose_anew(self, person: Person, choice: Choice) -> None:
        self.changed(person, choice=choice)

    @precondition(lambda self: self.collecting)
    @rule(person=_one_of("collecting"), choice=CHOICES)
    def choose_anew_while_something_is_collected(self, person: Person, choice: Choice) -> None:
        self.changed(person, choice=choice)

    @precondition(lambda self: self.here)
    @rule(person=_one_of("here"), state=st.sampled_from([SubscriberState.ACTIVE, SubscriberState.PAUSED]))
    def pause_or_resume(self, person: Person, state: SubscriberState) -> None:
        self.changed(person, state=state)

    @precondition(lambda self: self.here)
    @rule(person=_one_of("here"))
    def leave(self, person: Person) -> None:
        self.do(self.side.leave(person.stored))
        person.gone, person.collected = True, None

    @rule(domain=st.sampled_from(COMPANIES), partner=st.sampled_from(PARTNERS), days=st.sampled_from([0, 2, 180]))
    def owner_changes(self, domain: str, partner: str, days: int) -> None:
        """An ownership ends, and another begins; not within the hour, in which nobody could tell the two apart."""
        if self.world.owner(domain, self.clock.now()) != partner:
            self.clock.at = hour_of(self.clock.at) + timedelta(hours=1)
            self.give(domain, partner, days)

    @precondition(lambda self: self.awake)
    @rule(run=_one_of("awake"), dies=st.sampled_from([None, None, "writing", "written", "written"]))
    def a_workflow_wakes(self, run: Run, dies: str | None) -> None:
        """A worker takes the activity, and may die before it has frozen the mail, or after it."""
        person, now = run.person, self.clock.now()
        collected = person.collected
        current = collected is not None and self.digest_of(person) == (run.digest_id, run.revision)
        told = self.world.untold(person, now) if current else Counter[Key]()
        if current and collected and collected.due > now:
            with pytest.raises(NotYet):
                self.do(self.side.digests.begin(run.digest_id, run.revision))
            return
        if dies == "writing" and told:
            self.side.compose.dies = True
            with pytest.raises(Crash):
                self.do(self.side.digests.begin(run.digest_id, run.revision))
            return
        mail_id = self.do(self.side.digests.begin(run.digest_id, run.revision))
        if current:
            person.collected = None
            if told:
                assert mail_id
                assert self.do(self.side.told_in(mail_id)) == told
                assert not any(
                    told[key] + person.told[key] > self.world.happened[person.stored.partner_id][key] for key in told
                )
                run.mail = Mail(mail_id, told, now + OLDEST_TOLD)
                person.mails.append(run.mail)
        assert mail_id == (run.mail.id if run.mail and not person.gone else None)
        if dies is None:
            run.ended = mail_id is None
            if mail_id:
                self.try_to_send(run)

    @precondition(lambda self: self.collecting)
    @rule(
        person=_one_of("collecting"),
        dies=st.sampled_from([None, None, "written"]),
        end=st.sampled_from(["accepted", "postponed", "postponed", "unsure", "died"]),
        meanwhile=st.sampled_from([None, *COMES_BETWEEN]),
    )
    def a_digest_comes_due(self, person: Person, dies: str | None, end: str, meanwhile: str | None) -> None:
        """Time passes until somebody is to be told, and its mail is tried once; and before it is tried again …"""
        assert person.collected
        self.clock.at = max(self.clock.at, person.collected.due)
        current = self.digest_of(person)
        assert current
        self.a_workflow_wakes(self.runs[current], dies)
        if self.runs[current].on_the_wire:
            self.an_attempt_ends(self.runs[current], end)
        if meanwhile and self.runs[current] in self.lying:
            self.something_comes_between_freezing_and_sending(self.runs[current], meanwhile)

    def try_to_send(self, run: Run) -> None:
        mail, person, now = run.mail, run.person, self.clock.now()
        assert mail
        answer = self.do(self.side.posting.begin(mail.id))
        others = any(self.world.owner(domain, now) != person.stored.partner_id for domain, *_ in mail.told)
        if mail.state in {"frozen", "attempting"} and (now >= mail.send_until or not person.active or others):
            if mail.state == "frozen" and now < mail.send_until:
                mail.taken_back = True
                self.world.reschedule(person, now)
            mail.state = "dropped" if mail.state == "frozen" else "unsure"
        if mail.state in {"frozen", "attempting"}:
            assert isinstance(answer, StoredMail)
            mail.state, run.on_the_wire = "attempting", True
        else:
            assert answer is Outcome(mail.state)
            run.ended = True

    @precondition(lambda self: self.wired)
    @rule(
        run=_one_of("wired"),
        end=st.sampled_from(["accepted", "accepted", "refused", "postponed", "postponed", "unsure", "died"]),
    )
    def an_attempt_ends(self, run: Run, end: str) -> None:
        assert run.mail
        mail, posting = run.mail, self.side.posting
        run.on_the_wire, run.ended = False, end in {"accepted", "refused"}
        mail.delivered |= end in {"accepted", "unsure"}
        match end:
            case "accepted":
                assert self.do(posting.accepted(mail.id, "2.0.0 taken")) is Outcome.ACCEPTED
                mail.state = "accepted"
            case "refused":
                self.do(posting.refused(mail.id, RecipientRefused("rcpt", 550, "5.1.1")))
                mail.state = "refused"
                if run.person.active:  # its mailbox does not exist: it is paused until it says otherwise
                    run.person.stored = replace(run.person.stored, state=SubscriberState.PAUSED)
                    self.world.reschedule(run.person, self.clock.now())
            case "postponed":
                self.do(posting.postponed(mail.id, TransientFailure("rcpt", 451, "4.7.1")))
                mail.state = "frozen"
            case "unsure":
                assert self.do(posting.unsure(mail.id, "data")) is None

    @precondition(lambda self: self.lying)
    @rule(run=_one_of("lying"), what=st.sampled_from(COMES_BETWEEN))
    def something_comes_between_freezing_and_sending(self, run: Run, what: str) -> None:
        assert run.mail
        match what:
            case "pause":
                self.changed(run.person, state=SubscriberState.PAUSED)
            case "sale":
                self.owner_changes(min(run.mail.told)[0], "q" if run.person.stored.partner_id == "p" else "p", 180)
            case "leaving":
                self.leave(run.person)
            case "two weeks":
                self.clock.at += OLDEST_TOLD
        self.a_workflow_wakes(run, None)
        if what == "pause":
            self.changed(run.person, state=SubscriberState.ACTIVE)

    @rule(by=st.sampled_from([{"minutes": 7}, {"minutes": 16}, {"hours": 11}, {"days": 1}, {"days": 7}, {"days": 15}]))
    def time_passes(self, by: dict[str, float]) -> None:
        self.clock.pass_time(**by)

    @precondition(lambda self: self.awake or self.wired)
    @rule()
    def all_goes_well_until_nothing_is_left(self) -> None:
        """And then everything was told once, or there is a reason why not."""
        while running := [run for run in self.in_order if not run.ended]:
            for run in self.wired:
                self.an_attempt_ends(run, "accepted")
            for run in self.awake:
                self.a_workflow_wakes(run, None)
            self.everything_is_as_the_model_says()
            if not self.awake and not self.wired and running:
                self.clock.at = max(
                    self.clock.at, min((run.wakes for run in running if not run.ended), default=self.clock.at)
                )
        now = self.clock.now()
        for person in self.here:
            known = Counter[Key]()
            for mail in person.mails:
                if mail.state in {"accepted", "refused", "unsure"} or (mail.state == "dropped" and not mail.taken_back):
                    known += mail.told
            for key, times in (self.world.happened[person.stored.partner_id] - known - person.before).items():
                assert not person.active or self.world.why_not(person, key, now), (person, key, times)

    # What must be true after every step.

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        self.do(self.check())

    async def check(self) -> None:
        async with self.side.parts.database.transaction() as connection:
            messages = await connection.fetch("DELETE FROM outbox RETURNING topic, payload")
            collected = await connection.fetch("SELECT * FROM digests WHERE closed_at IS NULL")
            told = await connection.fetch(
                "SELECT subscriber_id, domain, action, hour, sum(count)::int AS count FROM told GROUP BY 1, 2, 3, 4"
            )
        self.temporal_hears(
            [row["payload"] for row in messages if row["topic"] == START],
            {str(row["digest_id"]): row["subscriber_id"] for row in collected},
        )
        stored = {row["subscriber_id"]: row for row in collected}
        for person in self.here:
            row = stored.pop(person.stored.subscriber_id, None)
            assert (person, row and (row["due_at"], row["revision"])) == (
                person,
                person.collected and (person.collected.due, person.collected.revision),
            )
            if row:
                run = self.runs[row["digest_id"], row["revision"]]
                assert not run.ended
                assert run.wakes == row["due_at"]
        assert not stored
        booked = {person.stored.subscriber_id: Counter[Key]() for person in self.here}
        for row in told:
            booked[row["subscriber_id"]][row["domain"], Action(row["action"]), row["hour"]] = row["count"]
        assert booked == {person.stored.subscriber_id: person.told for person in self.here}

    @invariant()
    def nobody_is_told_more_than_has_happened(self) -> None:
        for person in self.people:
            heard = sum((mail.told for mail in person.mails if mail.delivered), Counter[Key]())
            assert heard <= self.world.happened[person.stored.partner_id]

    # Helpers.

    def temporal_hears(self, starts: list[dict[str, Any]], collected_for: dict[str, UUID]) -> None:
        for start in sorted(starts, key=itemgetter("due_at", "revision")):
            digest_id, revision, wakes = start["digest_id"], start["revision"], datetime.fromisoformat(start["due_at"])
            (person,) = [each for each in self.here if each.stored.subscriber_id == collected_for[digest_id]]
            self.runs.setdefault((UUID(digest_id), revision), Run(person, UUID(digest_id), revision, wakes))

    def digest_of(self, person: Person) -> tuple[UUID, int] | None:
        digest = self.do(self.side.open_digest(person.stored))
        return (digest.digest_id, digest.revision) if digest else None

    def changed(self, person: Person, **change: object) -> None:
        person.stored = self.do(self.side.change(person.stored, **change))
        self.world.reschedule(person, self.clock.now())

    def give(self, domain: str, partner: str, days: int) -> None:
        now = self.clock.now()
        self.world.owned[domain] = Owned(partner, now, now + timedelta(days=days))
        self.do(self.side.owns(partner, domain, until=now + timedelta(days=days)))

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)


@pytest.mark.timeout(900)  # only a failing life takes so long: until it is told in as few words as possible
def test_in_random_lives_everything_is_told_once_or_for_a_reason_not_at_all(parts: Parts, clock: HandClock) -> None:
    run_lives(partial(Lives, parts, clock), parts, lives=80, steps=40)
