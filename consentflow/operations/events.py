"""Events from the vendor's site: what they say of a person to the law, and of a company to the partner who owns it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from consentflow.domain.addresses import Subject, subject_of
from consentflow.domain.clock import Clock
from consentflow.domain.companies import CompanyRefusal, registrable_domain
from consentflow.domain.consent import FACT_OF_EVENT, Fact
from consentflow.domain.errors import InvalidInput
from consentflow.domain.events import CloudEvent
from consentflow.domain.intake import CLOCK_SKEW
from consentflow.domain.notifications import ACTION_OF_EVENT, Action, hour_of
from consentflow.domain.policy import Policy
from consentflow.domain.purchases import Purchase, read_purchase
from consentflow.domain.secrets import derive_key
from consentflow.operations import company_actions
from consentflow.operations.company_actions import CompanyEvent, OwnedEvent
from consentflow.operations.consent import forget_if_suppressed
from consentflow.operations.weighing import Weighing, reconsider_all
from consentflow.storage import events as seen_events
from consentflow.storage import facts, ledger, registrations
from consentflow.storage.events import Key
from consentflow.storage.pool import Connection, Database, lock_subjects


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a batch of events."""

    accepted: int = 0
    duplicate: int = 0
    unmatched: int = 0


@dataclass(frozen=True, slots=True)
class ConsentEvent:
    """What an event tells of a person."""

    subject: Subject
    fact: Fact
    occurred_at: datetime


@dataclass(frozen=True, slots=True)
class _Told:
    """An event, and what it tells: of a person, of a company, of both or of nobody.

    Args:
        owned: What it tells of a company is some partner's business.
    """

    key: Key
    type: str
    person: ConsentEvent | None
    company: CompanyEvent | None
    owned: OwnedEvent | None = None


class Events:
    """The operation on events.

    Args:
        window: How long an immediate notification waits for more.
    """

    def __init__(self, database: Database, clock: Clock, policy: Policy, secret: str, window: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy
        self._window = window
        self._subject_key = derive_key(secret, "subject")

    async def record(self, events: Sequence[CloudEvent]) -> Counts:
        """Takes up events, each once by source and id: consent events go on record, company actions are counted.

        Events may come before the registration, late, twice and out of order. What concerns no person, and no company
        that a partner owned then and still owns, matches nothing and leaves no trace.

        Raises:
            InvalidInput: One claims to have happened in the future, or to be a purchase of no readable amount; nothing
                of the batch is kept.
            StorageUnavailable: Nothing was kept.
        """
        now = self._clock.now()
        told = [self._read(index, event, now) for index, event in enumerate(events)]
        async with self._database.transaction() as connection:
            await lock_subjects(connection, {each.person.subject for each in told if each.person})
            owned = await company_actions.find_owners(connection, [each.company for each in told if each.company], now)
            told = [replace(each, owned=owned[each.company]) if each.company in owned else each for each in told]
            fresh, counts = await _each_once(connection, told, now)
            await self._put_on_record(connection, [each.person for each in fresh if each.person], now)
            happened = [each.owned for each in fresh if each.owned]
            await company_actions.record(connection, happened, now, window=self._window)
        return counts

    def _read(self, index: int, event: CloudEvent, now: datetime) -> _Told:
        if event.occurred_at and event.occurred_at > now + CLOCK_SKEW:
            member = "data/occurred_at" if event.data.occurred_at else "time"
            raise InvalidInput(f"/{index}/{member}", "in_the_future", "lies in the future")
        key, occurred_at = (event.source, event.id), event.occurred_at or now
        person = company = None
        fact, action, mailbox = FACT_OF_EVENT.get(event.type), ACTION_OF_EVENT.get(event.type), event.data.email
        if fact and mailbox:
            person = ConsentEvent(subject_of(mailbox, self._subject_key), fact, occurred_at)
        purchase = _purchase(index, event) if action is Action.PURCHASED else None
        domain = event.data.domain if event.data.domain and event.data.domain.strip() else mailbox and mailbox.domain
        if action and domain and not isinstance(company_domain := registrable_domain(domain), CompanyRefusal):
            company = CompanyEvent(company_domain, action, min(occurred_at, now), purchase, key)
        return _Told(key, event.type, person, company)

    async def _put_on_record(self, connection: Connection, events: Sequence[ConsentEvent], now: datetime) -> None:
        """Puts consent events on record, and weighs anew the registrations of those of whom there are any."""
        if not events:
            return
        await facts.record_all(connection, [(each.subject, each.fact, each.occurred_at) for each in events], now)
        details = [
            (each.subject, {"fact": each.fact.value, "occurred_at": each.occurred_at.isoformat()}) for each in events
        ]
        await ledger.append_all(connection, now, "consent_event", details)
        known = await registrations.known_among(connection, {each.subject for each in events})
        if known:
            weighings = await Weighing.of_all(connection, self._policy, sorted(known), now)
            await reconsider_all(list(weighings.values()))
            for weighing in weighings.values():
                await forget_if_suppressed(weighing)


async def _each_once(connection: Connection, told: Sequence[_Told], now: datetime) -> tuple[list[_Told], Counts]:
    """The events that have an effect and were not seen before, and what became of all of them."""
    effective: dict[Key, _Told] = {}
    for each in told:
        if each.person or each.owned:
            effective.setdefault(each.key, each)
    types = [each.type for each in effective.values()]
    new = await seen_events.note_new(connection, list(effective), types, hour_of(now)) if effective else set()
    others = [each.key for each in told if effective.get(each.key) is not each]
    known = await seen_events.seen(connection, others) if others else set()
    repeated = sum(key in known for key in others) + len(effective) - len(new)
    fresh = [each for key, each in effective.items() if key in new]
    return fresh, Counts(len(new), repeated, len(told) - len(new) - repeated)


def _purchase(index: int, event: CloudEvent) -> Purchase | None:
    try:
        return read_purchase(event.data.amount, event.data.currency)
    except InvalidInput as error:
        raise InvalidInput(f"/{index}/data{error.pointer}", error.code, error.reason) from None
