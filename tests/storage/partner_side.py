"""Partners, their companies and their people, put into the database as a test wants them, and what reaches them."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from consentflow.domain.addresses import Subject
from consentflow.domain.events import CloudEvent
from consentflow.domain.letters import FrozenMail, Letter
from consentflow.domain.notifications import Action
from consentflow.domain.partner_letters import DigestLetter
from consentflow.domain.partners import Choice, Subscriber, SubscriberKind, SubscriberState
from consentflow.operations.digests import reschedule
from consentflow.operations.posting import Posting
from consentflow.operations.telling import Digests
from consentflow.runtime import Parts
from consentflow.storage import subscribers
from consentflow.storage.digests import Digest
from tests.conftest import HandClock

Key = tuple[str, Action, datetime]
"""Company, action and hour."""

_number = count()


class Crash(Exception):
    """The process died."""


@dataclass
class Composer:
    """Composes letters without templates, and remembers them by their Message-ID.

    Args:
        dies: Before the next letter is written.
    """

    letters: dict[str, DigestLetter] = field(default_factory=dict)
    dies: bool = False

    def __call__(self, letter: Letter, key: str) -> FrozenMail:
        if self.dies:
            self.dies = False
            raise Crash
        assert isinstance(letter, DigestLetter)
        message_id = f"<{key}@controller.example>"
        self.letters[message_id] = letter
        content = json.dumps([key, repr(letter.companies)]).encode()
        version = hashlib.sha256(b"words").hexdigest()
        return FrozenMail(
            message_id, "b@controller.example", letter.recipient.address, content, letter.language, version
        )

    def told_by(self, message_id: str) -> Counter[Key]:
        """What a letter tells, how often each."""
        happened = [each for company in self.letters[message_id].companies for each in company.happened]
        told = Counter({(each.domain, each.action, each.hour): each.count for each in happened})
        assert len(told) == len(happened), "nothing is told in two lines"
        return told


class PartnerSide:
    """Puts partners' things into the database by the service's own operations where there are such."""

    def __init__(self, parts: Parts, clock: HandClock, window: timedelta = timedelta(minutes=15)) -> None:
        self.parts, self.clock, self.window = parts, clock, window
        self.compose = Composer()
        self.digests = Digests(parts.database, clock, parts.office, self.compose, window)
        self.posting = Posting(parts.database, clock, "retry", {"digest": self.digests.still_wanted})

    async def owns(self, partner: str, domain: str, *, until: datetime | None = None) -> None:
        """From now on the partner owns the company, for half a year or until an instant."""
        now = self.clock.now()
        await self.fetch(
            """
            INSERT INTO ownerships (domain, partner_id, since, until) VALUES ($1, $2, $3, $4)
            ON CONFLICT (domain) DO UPDATE
                SET partner_id = excluded.partner_id, since = excluded.since, until = excluded.until
            """,
            domain,
            partner,
            now,
            until or now + timedelta(days=180),
        )

    async def subscribe(
        self,
        partner: str,
        choice: Choice,
        *,
        kind: SubscriberKind = SubscriberKind.PARTNER,
        follows: tuple[str, ...] = (),
    ) -> Subscriber:
        """Somebody who is told from now on."""
        number, now = next(_number), self.clock.now()
        subject = Subject(f"s-{number:032x}")
        subscriber = Subscriber(
            uuid4(), partner, kind, subject, f"ana{number}@partner.example", choice, SubscriberState.ACTIVE, now, now
        )
        async with self.parts.database.transaction() as connection:
            await subscribers.insert(connection, subscriber)
            for domain in follows:
                await subscribers.follow(connection, subscriber.subscriber_id, domain)
        return subscriber

    async def change(self, subscriber: Subscriber, **change: object) -> Subscriber:
        """Changes a subscriber's choice or state, as every operation on subscribers does."""
        changed = replace(subscriber, **change)  # type: ignore[arg-type]  # a test's own words
        async with self.parts.database.transaction() as connection:
            await subscribers.update(connection, changed)
            await reschedule(connection, subscriber.subscriber_id, self.clock.now(), window=self.window)
        return changed

    async def pause(self, subscriber: Subscriber) -> Subscriber:
        return await self.change(subscriber, state=SubscriberState.PAUSED)

    async def resume(self, subscriber: Subscriber) -> Subscriber:
        return await self.change(subscriber, state=SubscriberState.ACTIVE)

    async def leave(self, subscriber: Subscriber) -> None:
        async with self.parts.database.transaction() as connection:
            await subscribers.remove(connection, subscriber.subscriber_id)

    async def happens(self, *what: tuple[str, Action, datetime], times: int = 1) -> None:
        """Hands in one batch of events: company, action and instant of each, each so many times."""
        events = [
            CloudEvent.model_validate(
                {
                    "specversion": "1.0",
                    "id": str(uuid4()),
                    "source": "site",
                    "type": f"company.{action.value}",
                    "data": {"domain": domain, "occurred_at": at.isoformat()},
                }
            )
            for domain, action, at in what
            for _ in range(times)
        ]
        await self.parts.events.record(events)

    async def open_digest(self, subscriber: Subscriber) -> Digest | None:
        async with self.parts.database.transaction() as connection:
            row = await connection.fetchrow(
                "SELECT * FROM digests WHERE subscriber_id = $1 AND closed_at IS NULL", subscriber.subscriber_id
            )
        return Digest(**row) if row else None

    async def the_open_digest(self, subscriber: Subscriber) -> Digest:
        digest = await self.open_digest(subscriber)
        assert digest, "nothing is being collected"
        return digest

    async def tell(self, digest: Digest) -> Counter[Key]:
        """The digest's workflow wakes: what it tells."""
        mail_id = await self.digests.begin(digest.digest_id, digest.revision)
        return await self.told_in(mail_id) if mail_id else Counter()

    async def told_in(self, mail_id: UUID) -> Counter[Key]:
        message_id = await self.fetch("SELECT message_id FROM mails WHERE mail_id = $1", mail_id)
        return self.compose.told_by(message_id)

    async def fetch(self, query: str, *arguments: object) -> Any:  # noqa: ANN401 - as Postgres has it
        """One value from the database."""
        async with self.parts.database.transaction() as connection:
            return await connection.fetchval(query, *arguments)
