"""The steps of a subscription, wherever they are taken from. The caller holds the subject's lock."""

from dataclasses import replace
from datetime import datetime
from uuid import uuid4

from consentflow.domain.addresses import Mailbox, Subject
from consentflow.domain.partners import Choice, Subscriber, SubscriberKind, SubscriberState
from consentflow.operations.digests import reschedule
from consentflow.storage import ledger, subscribers
from consentflow.storage.pool import Connection


def new_subscriber(
    partner_id: str, subject: Subject, mailbox: Mailbox, choice: Choice, now: datetime, kind: SubscriberKind
) -> Subscriber:
    """Somebody who has not confirmed the address yet."""
    return Subscriber(uuid4(), partner_id, kind, subject, mailbox.address, choice, SubscriberState.PENDING, None, now)


def activated(subscriber: Subscriber, now: datetime) -> Subscriber:
    """The subscriber as one whose address is proven."""
    return replace(subscriber, state=SubscriberState.ACTIVE, since=subscriber.since or now)


async def add(connection: Connection, subscriber: Subscriber, now: datetime, how: str) -> None:
    """Somebody becomes a subscriber."""
    await subscribers.insert(connection, subscriber)
    await note(connection, subscriber, "subscriber_added", now, how)


async def leave(connection: Connection, subscriber: Subscriber, now: datetime, how: str) -> None:
    """A subscriber leaves: address and choice go, and what is being collected for it."""
    await subscribers.remove(connection, subscriber.subscriber_id)
    await note(connection, subscriber, "subscriber_left", now, how)


async def pause_all(connection: Connection, subject: Subject, now: datetime, how: str) -> None:
    """Mail to the person comes back: whatever it is told about is paused."""
    for subscriber in await subscribers.of_person(connection, subject):
        if subscriber.state is SubscriberState.ACTIVE:
            await subscribers.update(connection, replace(subscriber, state=SubscriberState.PAUSED))
            await reschedule(connection, subscriber.subscriber_id, now)
            await note(connection, subscriber, "subscriber_paused", now, how)


async def leave_all(connection: Connection, subject: Subject, now: datetime, how: str) -> None:
    """The person does not want such mails: it leaves whatever it subscribes to."""
    for subscriber in await subscribers.of_person(connection, subject):
        await leave(connection, subscriber, now, how)


async def note(connection: Connection, subscriber: Subscriber, event: str, now: datetime, how: str) -> None:
    """Writes to the ledger what became of a subscriber."""
    detail = {"partner_id": subscriber.partner_id, "kind": subscriber.kind.value, "how": how}
    await ledger.append(connection, now, event, detail, subject=subscriber.subject)
