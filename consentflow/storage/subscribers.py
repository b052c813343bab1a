"""Subscribers as rows, and the companies that growth specialists follow."""

from uuid import UUID

import asyncpg

from consentflow.domain.addresses import Subject
from consentflow.domain.letters import Language
from consentflow.domain.notifications import Action, Delivery
from consentflow.domain.partners import Choice, Subscriber, SubscriberKind, SubscriberState, in_order
from consentflow.storage.pool import Connection

_SELECT = """
    SELECT subscriber_id, partner_id, kind, subject, email, actions, delivery, hour, weekday, language, state, since,
           created_at
    FROM subscribers
"""


def _read(row: asyncpg.Record) -> Subscriber:
    return Subscriber(
        subscriber_id=row["subscriber_id"],
        partner_id=row["partner_id"],
        kind=SubscriberKind(row["kind"]),
        subject=row["subject"],
        email=row["email"],
        choice=Choice(
            actions=frozenset(map(Action, row["actions"])) if row["actions"] is not None else None,
            delivery=Delivery(row["delivery"]),
            hour=row["hour"],
            weekday=row["weekday"],
            language=Language(row["language"]) if row["language"] else None,
        ),
        state=SubscriberState(row["state"]),
        since=row["since"],
        created_at=row["created_at"],
    )


def _chosen(choice: Choice) -> tuple[object, ...]:
    actions = in_order(choice.actions) if choice.actions is not None else None
    return actions, choice.delivery, choice.hour, choice.weekday, choice.language


async def insert(connection: Connection, subscriber: Subscriber) -> None:
    """Stores a new subscriber; the partner has none of that subject yet."""
    await connection.execute(
        """
        INSERT INTO subscribers (subscriber_id, partner_id, kind, subject, email, state, since, created_at,
                                 actions, delivery, hour, weekday, language)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        """,
        subscriber.subscriber_id,
        subscriber.partner_id,
        subscriber.kind,
        subscriber.subject,
        subscriber.email,
        subscriber.state,
        subscriber.since,
        subscriber.created_at,
        *_chosen(subscriber.choice),
    )


async def update(connection: Connection, subscriber: Subscriber) -> None:
    """Writes what can change: the choice, the state, when it was last asked."""
    await connection.execute(
        """
        UPDATE subscribers SET state = $2, since = $3, created_at = $4, actions = $5, delivery = $6, hour = $7,
            weekday = $8, language = $9
        WHERE subscriber_id = $1
        """,
        subscriber.subscriber_id,
        subscriber.state,
        subscriber.since,
        subscriber.created_at,
        *_chosen(subscriber.choice),
    )


async def find(connection: Connection, partner_id: str, subject: Subject) -> Subscriber | None:
    """The person as a subscriber of that partner."""
    row = await connection.fetchrow(f"{_SELECT} WHERE partner_id = $1 AND subject = $2", partner_id, subject)
    return _read(row) if row else None


async def find_by_id(connection: Connection, subscriber_id: UUID) -> Subscriber | None:
    """The subscriber with that id."""
    row = await connection.fetchrow(f"{_SELECT} WHERE subscriber_id = $1", subscriber_id)
    return _read(row) if row else None


async def of_partner(connection: Connection, partner_id: str, after: str, most: int) -> list[Subscriber]:
    """A partner's subscribers in an order that stays, those after an id; the empty text begins."""
    rows = await connection.fetch(
        f"{_SELECT} WHERE partner_id = $1 AND subscriber_id::text > $2 ORDER BY subscriber_id::text LIMIT $3",
        partner_id,
        after,
        most,
    )
    return [_read(row) for row in rows]


async def of_person(connection: Connection, subject: Subject) -> list[Subscriber]:
    """Everything the person subscribes to, by partner."""
    rows = await connection.fetch(f"{_SELECT} WHERE subject = $1 ORDER BY partner_id", subject)
    return [_read(row) for row in rows]


async def remove(connection: Connection, subscriber_id: UUID) -> None:
    """The subscriber leaves: address and choice go, and what it was told."""
    await connection.execute("DELETE FROM subscribers WHERE subscriber_id = $1", subscriber_id)


async def follow(connection: Connection, subscriber_id: UUID, domain: str) -> None:
    """A growth specialist is told about a company."""
    await connection.execute(
        "INSERT INTO specialist_companies (subscriber_id, domain) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        subscriber_id,
        domain,
    )


async def unfollow_unless_named(connection: Connection, subscriber_id: UUID, domain: str) -> None:
    """A growth specialist is told about a company no more, unless a deal that stands names it."""
    await connection.execute(
        """
        DELETE FROM specialist_companies WHERE subscriber_id = $1 AND domain = $2 AND NOT EXISTS (
            SELECT FROM registrations JOIN subscribers USING (partner_id)
            WHERE subscriber_id = $1 AND company_domain = $2 AND growth_specialist = subscribers.subject
                AND registrations.state <> 'withdrawn'
        )
        """,
        subscriber_id,
        domain,
    )


async def follows_any(connection: Connection, subscriber_id: UUID) -> bool:
    """Whether a growth specialist is told about any company."""
    any_left: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT FROM specialist_companies WHERE subscriber_id = $1)", subscriber_id
    )
    return any_left
