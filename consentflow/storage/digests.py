"""Notifications that are being collected, and what each subscriber has been told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from uuid import UUID

import asyncpg

from consentflow.domain.notifications import Action, CompanyReport, Delivery, Happened
from consentflow.domain.partners import DEFAULT_TIME_ZONE, Subscriber, SubscriberKind
from consentflow.storage import companies
from consentflow.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class Digest:
    """What a subscriber will be told in one mail, or has been.

    Args:
        revision: How often its due time was moved; a workflow that was started for an earlier one tells nothing.
        closed_at: When it was decided what to tell, UTC; None while it is being collected.
        mail_id: The mail that tells it; None as well when there was nothing to tell.
    """

    digest_id: UUID
    subscriber_id: UUID
    opened_at: datetime
    due_at: datetime
    revision: int = 0
    closed_at: datetime | None = None
    mail_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Wanting:
    """A subscriber for whom nothing is being collected yet, and when it wants to be told."""

    subscriber_id: UUID
    delivery: Delivery
    hour: int
    weekday: int
    time_zone: str


_SELECT = "SELECT digest_id, subscriber_id, opened_at, due_at, revision, closed_at, mail_id FROM digests"


async def find(connection: Connection, digest_id: UUID) -> Digest | None:
    """The digest with that id; it is gone when its subscriber has left."""
    row = await connection.fetchrow(f"{_SELECT} WHERE digest_id = $1", digest_id)
    return Digest(**row) if row else None


async def hold(connection: Connection, digest_id: UUID) -> Digest | None:
    """The digest with that id, held for this transaction: until then its subscriber cannot leave."""
    row = await connection.fetchrow(f"{_SELECT} WHERE digest_id = $1 FOR UPDATE", digest_id)
    return Digest(**row) if row else None


async def find_open(connection: Connection, subscriber_id: UUID) -> Digest | None:
    """What is being collected for the subscriber."""
    row = await connection.fetchrow(f"{_SELECT} WHERE subscriber_id = $1 AND closed_at IS NULL", subscriber_id)
    return Digest(**row) if row else None


async def find_waiting(connection: Connection, partner_id: str) -> list[UUID]:
    """The partner's subscribers for whom something is being collected."""
    rows = await connection.fetch(
        """
        SELECT subscriber_id FROM subscribers JOIN digests USING (subscriber_id)
        WHERE partner_id = $1 AND closed_at IS NULL ORDER BY subscriber_id
        """,
        partner_id,
    )
    return [row["subscriber_id"] for row in rows]


async def find_by_mail(connection: Connection, mail_id: UUID) -> Digest | None:
    """The digest that a mail tells."""
    row = await connection.fetchrow(f"{_SELECT} WHERE mail_id = $1", mail_id)
    return Digest(**row) if row else None


async def find_unfinished(connection: Connection) -> list[Digest]:
    """Every digest that is being collected or whose mail has not come to an end."""
    rows = await connection.fetch(
        """
        SELECT digests.* FROM digests WHERE closed_at IS NULL
        UNION ALL
        SELECT digests.* FROM mails JOIN digests USING (mail_id)
        WHERE mails.state IN ('frozen', 'attempting') AND registration_id IS NULL
        """
    )
    return [Digest(**row) for row in rows]


async def find_wanting(connection: Connection, news: Sequence[tuple[str, str, Action, datetime]]) -> list[Wanting]:
    """Whoever wants to be told one of these and has nothing collected yet, held so that it cannot leave meanwhile.

    Args:
        news: Owner, company, action and hour of what was recorded.
    """
    rows = await connection.fetch(
        """
        SELECT subscriber_id, delivery, subscribers.hour, weekday, coalesce(time_zone, $5) AS time_zone
        FROM subscribers LEFT JOIN partners USING (partner_id)
        WHERE partner_id = ANY($1) AND state = 'active'
            AND NOT EXISTS (
                SELECT FROM digests WHERE digests.subscriber_id = subscribers.subscriber_id AND closed_at IS NULL
            )
            AND EXISTS (
                SELECT FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[])
                    AS news (partner_id, domain, action, hour)
                WHERE news.partner_id = subscribers.partner_id
                    AND (actions IS NULL OR news.action = ANY(actions))
                    AND news.hour >= date_trunc('hour', since, 'UTC')
                    AND (kind = 'partner' OR EXISTS (
                        SELECT FROM specialist_companies AS followed
                        WHERE followed.subscriber_id = subscribers.subscriber_id AND followed.domain = news.domain
                    ))
            )
        ORDER BY subscriber_id
        FOR KEY SHARE OF subscribers
        """,
        *(list(column) for column in zip(*news, strict=True)),
        DEFAULT_TIME_ZONE,
    )
    return [Wanting(**{**row, "delivery": Delivery(row["delivery"])}) for row in rows]


async def open_all(connection: Connection, digests: Sequence[Digest]) -> list[UUID]:
    """Begins to collect for subscribers who have nothing collected yet; the digests that were opened."""
    rows = await connection.fetch(
        """
        INSERT INTO digests (digest_id, subscriber_id, opened_at, due_at)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::timestamptz[])
        ON CONFLICT (subscriber_id) WHERE closed_at IS NULL DO NOTHING
        RETURNING digest_id
        """,
        [digest.digest_id for digest in digests],
        [digest.subscriber_id for digest in digests],
        [digest.opened_at for digest in digests],
        [digest.due_at for digest in digests],
    )
    return [row["digest_id"] for row in rows]


async def move(connection: Connection, digest_id: UUID, due_at: datetime) -> int:
    """Sets another due time; the revision that it has by that."""
    revision: int = await connection.fetchval(
        "UPDATE digests SET due_at = $2, revision = revision + 1 WHERE digest_id = $1 RETURNING revision",
        digest_id,
        due_at,
    )
    return revision


async def close(connection: Connection, digest_id: UUID, at: datetime, mail_id: UUID | None = None) -> None:
    """Ends the collecting. What happens from now on belongs to the subscriber's next digest."""
    await connection.execute(
        "UPDATE digests SET closed_at = $2, mail_id = $3 WHERE digest_id = $1", digest_id, at, mail_id
    )


async def find_untold(
    connection: Connection, subscriber: Subscriber, since: datetime, now: datetime
) -> list[CompanyReport]:
    """What the subscriber wants to be told and has not been, of companies that its partner owns at present.

    Args:
        since: The first hour that counts, UTC.
    """
    rows = await connection.fetch(
        """
        SELECT done.domain, done.action, done.hour, done.count - told.count AS count, until
        FROM company_actions AS done
        JOIN ownerships ON ownerships.domain = done.domain AND ownerships.partner_id = done.partner_id
            AND until > $4 AND done.hour >= date_trunc('hour', ownerships.since, 'UTC')
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(count), 0)::bigint AS count FROM told
            WHERE subscriber_id = $1 AND told.hour = done.hour AND told.domain = done.domain
                AND told.action = done.action
        ) AS told
        WHERE done.partner_id = $2 AND done.hour >= $3 AND ($5::text[] IS NULL OR done.action = ANY($5))
            AND done.count > told.count
            AND (NOT $6 OR EXISTS (
                SELECT FROM specialist_companies AS followed
                WHERE followed.subscriber_id = $1 AND followed.domain = done.domain
            ))
        ORDER BY done.domain
        """,
        subscriber.subscriber_id,
        subscriber.partner_id,
        since,
        now,
        None if subscriber.choice.actions is None else list(subscriber.choice.actions),
        subscriber.kind is SubscriberKind.GROWTH_SPECIALIST,
    )
    names = await companies.names(connection, subscriber.partner_id, {row["domain"] for row in rows})
    return [_report(names.get(domain), list(happened)) for domain, happened in groupby(rows, key=itemgetter("domain"))]


async def tell(connection: Connection, digest: Digest, reports: Sequence[CompanyReport]) -> None:
    """Counts as told what the digest tells."""
    told = [happened for report in reports for happened in report.happened]
    await connection.execute(
        """
        INSERT INTO told (digest_id, subscriber_id, hour, domain, action, count)
        SELECT $1, $2, * FROM unnest($3::timestamptz[], $4::text[], $5::text[], $6::bigint[])
        """,
        digest.digest_id,
        digest.subscriber_id,
        [happened.hour for happened in told],
        [happened.domain for happened in told],
        [happened.action for happened in told],
        [happened.count for happened in told],
    )


async def take_back(connection: Connection, digest_id: UUID) -> None:
    """What the digest would have told is untold again."""
    await connection.execute("DELETE FROM told WHERE digest_id = $1", digest_id)


async def tells_of_others(connection: Connection, digest_id: UUID, partner_id: str, now: datetime) -> bool:
    """Whether the digest tells of a company that the partner does not own at present."""
    others: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM told WHERE digest_id = $1 AND NOT EXISTS (
                SELECT FROM ownerships
                WHERE ownerships.domain = told.domain AND partner_id = $2 AND until > $3
            )
        )
        """,
        digest_id,
        partner_id,
        now,
    )
    return others


def _report(name: str | None, rows: Sequence[asyncpg.Record]) -> CompanyReport:
    happened = (Happened(row["domain"], Action(row["action"]), row["hour"], row["count"]) for row in rows)
    return CompanyReport(name, rows[0]["domain"], tuple(happened), rows[0]["until"])
