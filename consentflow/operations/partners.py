"""Partners as the registering side knows them: what they are called, the companies they own, what these did lately."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from consentflow.domain.clock import Clock
from consentflow.domain.errors import NotFound
from consentflow.domain.notifications import Action, Happened, hour_of
from consentflow.domain.paging import Mark, Page
from consentflow.domain.partners import LATELY, Partner
from consentflow.domain.windows import IMMEDIATE_WINDOW
from consentflow.operations.digests import reschedule_all
from consentflow.storage import companies, company_actions, ledger, partners
from consentflow.storage.pool import Database


@dataclass(frozen=True, slots=True)
class Deed:
    """How often a company did one thing on one day, in the partner's time zone."""

    day: date
    action: Action
    count: int


@dataclass(frozen=True, slots=True)
class OwnedCompany:
    """A company, and what it did lately, the latest day first.

    Args:
        name: As the partner registered it last; untrusted text.
        since: When the ownership began, UTC; renewing it does not begin another.
        until: When it ends, UTC.
    """

    domain: str
    name: str | None
    since: datetime
    until: datetime
    lately: Sequence[Deed]


class Partners:
    """The operations on partners.

    Args:
        window: How long an immediate notification waits for more.
    """

    def __init__(self, database: Database, clock: Clock, window: timedelta = IMMEDIATE_WINDOW) -> None:
        self._database = database
        self._clock = clock
        self._window = window

    async def put(self, partner: Partner) -> Partner:
        """Keeps what a partner is called, and the language and time zone its people are told in."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if await partners.put(connection, partner, now):
                await reschedule_all(connection, partner.partner_id, now, window=self._window)
                detail = {
                    "partner_id": partner.partner_id,
                    "language": partner.language.value,
                    "time_zone": partner.time_zone,
                }
                await ledger.append(connection, now, "partner_changed", detail)
        return partner

    async def find(self, partner_id: str) -> Partner:
        """What is known of a partner.

        Raises:
            NotFound: Nothing is.
        """
        async with self._database.transaction() as connection:
            known = await partners.find(connection, partner_id)
        if known is None:
            raise NotFound("partner")
        return known

    async def companies(self, partner_id: str, after: Mark | None, most: int) -> Page[OwnedCompany]:
        """The companies a partner owns, by domain, and what each did in the time called `LATELY`."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            partner = await partners.find_or_name(connection, partner_id)
            owned = await companies.owned_by(connection, partner_id, now, after.key if after else "", most + 1)
            shown = list(owned.items())[:most]
            domains = [domain for domain, _ in shown]
            names = await companies.names(connection, partner_id, domains)
            happened = await company_actions.since(connection, partner_id, domains, hour_of(now - LATELY))
        lately = _by_day(happened, ZoneInfo(partner.time_zone))
        found = [
            OwnedCompany(domain, names.get(domain), held.since, held.until, lately.get(domain, ()))
            for domain, held in shown
        ]
        return Page(found, Mark(found[-1].since, found[-1].domain) if len(owned) > most else None)


def _by_day(happened: Sequence[Happened], zone: ZoneInfo) -> Mapping[str, Sequence[Deed]]:
    """What companies did, by domain: by day and action, the latest day first."""
    counts: dict[str, Counter[tuple[date, Action]]] = defaultdict(Counter)
    for each in happened:
        counts[each.domain][each.hour.astimezone(zone).date(), each.action] += each.count
    order = list(Action)
    return {
        domain: [
            Deed(day, action, count)
            for (day, action), count in sorted(
                counted.items(), key=lambda item: (-item[0][0].toordinal(), order.index(item[0][1]))
            )
        ]
        for domain, counted in counts.items()
    }
