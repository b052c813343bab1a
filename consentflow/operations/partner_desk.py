"""What a partner's people see when they are signed in: companies and credits of their own partner, nothing finer.

Every question names who asks, and is answered only for a partner that person acts for.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from consentflow.domain.addresses import Subject
from consentflow.domain.clock import Clock
from consentflow.domain.errors import NotFound
from consentflow.domain.notifications import Happened, hour_of
from consentflow.domain.partners import LATELY, Partner, Subscriber, SubscriberKind
from consentflow.domain.purchases import Credit
from consentflow.storage import companies, company_actions, digests, partner_views, partners, people, subscribers
from consentflow.storage import credits as credited
from consentflow.storage.partner_views import MonthOfCredits
from consentflow.storage.pool import Connection, Database

COMPANIES_PER_PAGE = 25


@dataclass(frozen=True, slots=True)
class Desk:
    """Somebody's place at one partner.

    Args:
        is_known: Whether name, language and time zone were told, not assumed.
        subscriber: The person as a subscriber of the partner, if it is one.
        next_mail: When the notification that is being collected leaves, UTC; None while there is nothing to tell.
        sees_all: False for a growth specialist of the vendor, who sees the companies of its deals, and no credits.
        choices: Every partner the person acts for.
    """

    partner: Partner
    is_known: bool
    subject: Subject
    subscriber: Subscriber | None
    next_mail: datetime | None
    sees_all: bool
    choices: Sequence[Partner]


@dataclass(frozen=True, slots=True)
class ActiveCompany:
    """A company and what it did lately, the latest first; empty for one that did nothing.

    Args:
        name: As registered, or None; untrusted text.
        owned_until: UTC.
    """

    domain: str
    name: str | None
    owned_until: datetime
    happened: Sequence[Happened]


@dataclass(frozen=True, slots=True)
class Companies:
    """A page of companies.

    Args:
        total: How many there are on all pages.
        number: Which page this is; the first is 1.
        pages: How many pages there are.
        since: The first hour of what is shown, UTC: when a day began in the partner's time zone.
        now: UTC.
    """

    shown: Sequence[ActiveCompany]
    total: int
    number: int
    pages: int
    since: datetime
    now: datetime


class PartnerDesk:
    """The operations behind the partner page that only look; `Subscribers` has those that change something."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def partners_of(self, subject: Subject) -> Sequence[Partner]:
        """The partners somebody acts for, by id."""
        async with self._database.transaction() as connection:
            return await _choices(connection, subject)

    async def sit_down(self, subject: Subject, partner_id: str) -> Desk:
        """Somebody's place at a partner.

        Raises:
            NotFound: The person does not act for that partner.
        """
        async with self._database.transaction() as connection:
            choices = await _choices(connection, subject)
            if partner_id not in {partner.partner_id for partner in choices}:
                raise NotFound("partner")
            known = await partners.find(connection, partner_id)
            subscriber = await subscribers.find(connection, partner_id, subject)
            digest = await digests.find_open(connection, subscriber.subscriber_id) if subscriber else None
            return Desk(
                partner=known or Partner(partner_id, partner_id),
                is_known=known is not None,
                subject=subject,
                subscriber=subscriber,
                next_mail=digest.due_at if digest else None,
                sees_all=await _sees_all(connection, subscriber, subject, partner_id),
                choices=choices,
            )

    async def companies(self, desk: Desk, wanted: str = "", number: int = 1) -> Companies:
        """A page of the companies that the partner owns; the first one if there are not so many.

        Args:
            wanted: A part of a name or domain.
        """
        now, zone = self._clock.now(), ZoneInfo(desk.partner.time_zone)
        first_day = now.astimezone(zone).date() - LATELY + timedelta(days=1)
        since = hour_of(datetime.combine(first_day, time(), zone))
        async with self._database.transaction() as connection:

            async def look(page: int) -> tuple[int, Mapping[str, datetime]]:
                return await partner_views.companies(
                    connection,
                    desk.partner.partner_id,
                    now=now,
                    since=since,
                    wanted=wanted,
                    followed_by=None if desk.sees_all else desk.subject,
                    skip=(page - 1) * COMPANIES_PER_PAGE,
                    most=COMPANIES_PER_PAGE,
                )

            total, found = await look(number)
            if not found and number > 1:  # they may have become fewer since the link was made
                total, found = await look(1)
                number = 1
            names = await companies.names(connection, desk.partner.partner_id, list(found))
            happened = await company_actions.since(connection, desk.partner.partner_id, list(found), since)
        shown = [
            ActiveCompany(domain, names.get(domain), until, [each for each in happened if each.domain == domain])
            for domain, until in found.items()
        ]
        return Companies(shown, total, number, max(1, -(-total // COMPANIES_PER_PAGE)), since, now)

    async def months_of_credits(self, desk: Desk) -> Sequence[MonthOfCredits]:
        """What was credited to the partner, by month.

        Raises:
            NotFound: It is not for this person to see.
        """
        async with self._database.transaction() as connection:
            return await partner_views.months_of_credits(connection, _for_all(desk))

    async def credits(self, desk: Desk) -> Sequence[Credit]:
        """Every purchase that was credited to the partner, the latest first.

        Raises:
            NotFound: It is not for this person to see.
        """
        async with self._database.transaction() as connection:
            return await credited.of_partner(connection, _for_all(desk))


async def _choices(connection: Connection, subject: Subject) -> Sequence[Partner]:
    partner_ids = await people.partners_of(connection, subject)
    known = await partners.find_all(connection, partner_ids)
    return [known.get(partner_id) or Partner(partner_id, partner_id) for partner_id in partner_ids]


async def _sees_all(connection: Connection, subscriber: Subscriber | None, subject: Subject, partner_id: str) -> bool:
    if subscriber is None or subscriber.kind is SubscriberKind.PARTNER:
        return True
    return await people.has_registered(connection, subject, partner_id)


def _for_all(desk: Desk) -> str:
    if not desk.sees_all:
        raise NotFound("credits")
    return desk.partner.partner_id
