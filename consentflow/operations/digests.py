"""Collecting what a subscriber is told: from the first news to the end of a window.

A digest is opened by the first thing that a subscriber wants to be told and is not; whatever follows is found by it
when it is told (`telling`). The partner's lock keeps the two apart: who records news sees either an open digest that
will find it, or a closed one, and opens the next. So nothing is told twice or lost, and a flood of events adds no rows.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from consentflow.domain.notifications import OLDEST_TOLD, Action, CompanyReport, Delivery, hour_of
from consentflow.domain.partners import Subscriber, SubscriberState
from consentflow.domain.windows import IMMEDIATE_WINDOW, window_end
from consentflow.storage import digests, outbox, partners, subscribers
from consentflow.storage.digests import Digest
from consentflow.storage.outbox import Payload
from consentflow.storage.pool import Connection, lock_partners

START = "digest.start"
"""The outbox topic of a digest that was opened, or whose due time was moved."""


async def open_digests_for(
    connection: Connection,
    recorded: Iterable[tuple[str, str, Action, datetime]],
    now: datetime,
    *,
    window: timedelta = IMMEDIATE_WINDOW,
) -> None:
    """Opens a digest for every active subscriber who wants one of these told and has none open.

    Call it in the transaction that recorded them, after that was done. It costs one look-up, however much was recorded.

    Args:
        recorded: The owning partner, the company, what it did and the hour in which.
        window: How long an immediate notification waits for more.
    """
    news = sorted({each for each in recorded if each[3] >= now - OLDEST_TOLD})
    if not news:
        return
    await lock_partners(connection, {partner_id for partner_id, *_ in news})
    opened = [
        Digest(
            uuid4(),
            each.subscriber_id,
            opened_at=now,
            due_at=window_end(each.delivery, each.hour, each.weekday, each.time_zone, now, immediate=window),
        )
        for each in await digests.find_wanting(connection, news)
    ]
    if opened:
        really = set(await digests.open_all(connection, opened))
        await outbox.write_all(connection, START, [start_of(each) for each in opened if each.digest_id in really])


async def reschedule(
    connection: Connection, subscriber_id: UUID, now: datetime, *, window: timedelta = IMMEDIATE_WINDOW
) -> None:
    """Makes what is collected for a subscriber fit its choice and state, which have changed in this transaction.

    For an active one the due time moves to the end of the window it has chosen now, unless it is due already; and a
    digest is opened if something is untold. For any other nothing is collected: what happens is untold until it
    is active again.
    """
    found = await subscribers.find_by_id(connection, subscriber_id)
    if found is None:
        return
    await lock_partners(connection, [found.partner_id])
    subscriber = await subscribers.find_by_id(connection, subscriber_id)
    if subscriber is None:
        return
    digest = await digests.find_open(connection, subscriber_id)
    if subscriber.state is not SubscriberState.ACTIVE:
        if digest:
            await digests.close(connection, digest.digest_id, now)
        return
    choice, partner = subscriber.choice, await partners.find_or_name(connection, subscriber.partner_id)
    end = window_end(choice.delivery, choice.hour, choice.weekday, partner.time_zone, now, immediate=window)
    if digest is None:
        if await find_untold(connection, subscriber, now):
            digest = Digest(uuid4(), subscriber_id, opened_at=now, due_at=end)
            await digests.open_all(connection, [digest])
            await outbox.write(connection, START, start_of(digest))
        return
    if choice.delivery is Delivery.IMMEDIATE:
        end = min(end, digest.due_at)  # changing one's choice again and again puts nothing off
    if digest.due_at > now and digest.due_at != end:
        await digests.move(connection, digest.digest_id, end)
        if moved := await digests.find(connection, digest.digest_id):
            await outbox.write(connection, START, start_of(moved))


async def reschedule_all(
    connection: Connection, partner_id: str, now: datetime, *, window: timedelta = IMMEDIATE_WINDOW
) -> None:
    """Makes what is collected for a partner's people fit its time zone, which has changed in this transaction."""
    await lock_partners(connection, [partner_id])
    for subscriber_id in await digests.find_waiting(connection, partner_id):
        await reschedule(connection, subscriber_id, now, window=window)


def start_of(digest: Digest) -> Payload:
    """What Temporal must hear of a digest."""
    return {"digest_id": str(digest.digest_id), "revision": digest.revision, "due_at": digest.due_at.isoformat()}


async def find_untold(connection: Connection, subscriber: Subscriber, now: datetime) -> list[CompanyReport]:
    """What a subscriber wants to be told and has not been."""
    if subscriber.since is None:
        return []
    since = max(hour_of(subscriber.since), now - OLDEST_TOLD)
    return await digests.find_untold(connection, subscriber, since, now)
