"""Telling a subscriber what was collected: decided and frozen in one transaction, looked at again before it leaves."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from consentflow.domain.clock import Clock
from consentflow.domain.letters import Compose, Recipient
from consentflow.domain.notifications import OLDEST_TOLD, URGENT, CompanyReport, Delivery, Happened
from consentflow.domain.partner_letters import DigestLetter
from consentflow.domain.partners import Subscriber, SubscriberState
from consentflow.domain.windows import IMMEDIATE_WINDOW
from consentflow.operations.digests import find_untold, reschedule
from consentflow.operations.posting import NotYet, Office, post
from consentflow.operations.subscribers import leave_link
from consentflow.storage import digests, partners, subscribers
from consentflow.storage.digests import Digest
from consentflow.storage.mails import StoredMail
from consentflow.storage.pool import Connection, Database, lock_partners, lock_subject

_BETWEEN = {Delivery.DAILY: timedelta(days=1), Delivery.WEEKLY: timedelta(weeks=1)}
"""From one mail to the next."""


class Digests:
    """The operations on what is told.

    Args:
        compose: Renders and freezes a letter.
        window: How long an immediate notification waits for more.
    """

    def __init__(
        self, database: Database, clock: Clock, office: Office, compose: Compose, window: timedelta = IMMEDIATE_WINDOW
    ) -> None:
        self._database = database
        self._clock = clock
        self._office = office
        self._compose = compose
        self._window = window

    async def begin(self, digest_id: UUID, revision: int) -> UUID | None:
        """Decides what a digest tells; the frozen mail, None if there is none. Asked again it answers the same.

        Only the workflow that was started for the digest's latest due time is answered with a mail, so only one sends.

        Raises:
            NotYet: It is not due yet.
        """
        now = self._clock.now()
        async with self._database.transaction() as connection:
            found = await digests.find(connection, digest_id)
            subscriber = await _reader(connection, found, lock=True)
            digest = await digests.hold(connection, digest_id)
            if subscriber is None or digest is None or digest.revision != revision:
                return None
            if digest.closed_at is not None:
                return digest.mail_id
            if digest.due_at > now:
                raise NotYet(digest.due_at - now)
            reports = await find_untold(connection, subscriber, now)
            mail_id = None
            if reports and subscriber.state is SubscriberState.ACTIVE:
                mail_id = await self._freeze(connection, digest, subscriber, reports, now)
                await digests.tell(connection, digest, reports)
            await digests.close(connection, digest_id, now, mail_id)
            return mail_id

    async def still_wanted(self, connection: Connection, mail: StoredMail, now: datetime) -> bool:
        """Whether a frozen notification may leave: its reader has not left or paused, and every company is still owned.

        What one that has never left would have told is untold again.
        """
        digest = await digests.find_by_mail(connection, mail.mail_id)
        subscriber = await _reader(connection, digest)
        if digest is None or subscriber is None:
            return False
        others = await digests.tells_of_others(connection, digest.digest_id, subscriber.partner_id, now)
        if subscriber.state is SubscriberState.ACTIVE and not others:
            return True
        if mail.state == "frozen":
            await _reader(connection, digest, lock=True)
            await digests.take_back(connection, digest.digest_id)
            await reschedule(connection, subscriber.subscriber_id, now, window=self._window)
        return False

    async def _freeze(
        self,
        connection: Connection,
        digest: Digest,
        subscriber: Subscriber,
        reports: list[CompanyReport],
        now: datetime,
    ) -> UUID:
        partner = await partners.find_or_name(connection, subscriber.partner_id)
        language = subscriber.choice.language or partner.language
        letter = DigestLetter(
            language=language,
            recipient=Recipient(subscriber.email, None, None),
            controller=self._office.controller,
            partner=partner.name,
            delivery=subscriber.choice.delivery,
            companies=tuple(_most_urgent_first(reports)),
            begins_at=_begins_at(subscriber, reports, now),
            time_zone=partner.time_zone,
            page=f"{self._office.public_url}/partner",
            unsubscribe=await leave_link(connection, self._office, subscriber, language, now),
            written_at=now,
        )
        return await post(
            connection,
            self._compose,
            letter,
            subscriber.subject,
            f"digest/{digest.digest_id}",
            send_until=now + OLDEST_TOLD,
        )


def _begins_at(subscriber: Subscriber, reports: list[CompanyReport], now: datetime) -> datetime:
    """Since when it was collected: for the time between two mails, and longer where something was told late."""
    earliest = min(happened.hour for report in reports for happened in report.happened)
    between = _BETWEEN.get(subscriber.choice.delivery)
    return min(earliest, max(subscriber.since or earliest, now - between)) if between else earliest


async def _reader(connection: Connection, digest: Digest | None, *, lock: bool = False) -> Subscriber | None:
    """The subscriber of a digest, and on demand the locks under which it is decided what that one is told."""
    subscriber = await subscribers.find_by_id(connection, digest.subscriber_id) if digest else None
    if subscriber is None or not lock:
        return subscriber
    await lock_subject(connection, subscriber.subject)
    await lock_partners(connection, [subscriber.partner_id])
    return await subscribers.find_by_id(connection, subscriber.subscriber_id)


def _most_urgent_first(reports: list[CompanyReport]) -> list[CompanyReport]:
    """Companies that wait for an answer before others, then by the latest thing they did; and the same within each."""

    def rank(happened: Happened) -> tuple[bool, float, str]:
        return happened.action not in URGENT, -happened.hour.timestamp(), happened.action

    ordered = [replace(report, happened=tuple(sorted(report.happened, key=rank))) for report in reports]
    return sorted(ordered, key=lambda report: (rank(report.happened[0])[0], -_latest(report), report.domain))


def _latest(report: CompanyReport) -> float:
    return max(happened.hour for happened in report.happened).timestamp()
