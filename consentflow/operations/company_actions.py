"""What companies do becomes news for the partners who own them, and a purchase their credit. No person is in it."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from consentflow.domain.notifications import Action, hour_of
from consentflow.domain.purchases import Purchase
from consentflow.operations.digests import open_digests_for
from consentflow.storage import companies, company_actions, ledger
from consentflow.storage import credits as credited
from consentflow.storage.company_actions import Place
from consentflow.storage.events import Key
from consentflow.storage.ledger import Detail
from consentflow.storage.pool import Connection, lock_partners


@dataclass(frozen=True, slots=True)
class CompanyEvent:
    """What an event tells of a company.

    Args:
        domain: The company's registrable domain.
        occurred_at: UTC; not after the present.
        event: Source and id.
    """

    domain: str
    action: Action
    occurred_at: datetime
    purchase: Purchase | None
    event: Key


@dataclass(frozen=True, slots=True)
class OwnedEvent:
    """What a company did while the partner owned it that still does."""

    partner_id: str
    told: CompanyEvent


async def find_owners(
    connection: Connection, events: Collection[CompanyEvent], now: datetime
) -> dict[CompanyEvent, OwnedEvent]:
    """Those of the events that are a partner's business. The others concern nobody, and are not kept."""
    owners = await companies.find_owners(connection, {each.domain for each in events}, now)
    return {
        each: OwnedEvent(owner.partner_id, each)
        for each in events
        if (owner := owners.get(each.domain)) and owner.covers(each.occurred_at)
    }


async def record(connection: Connection, events: Sequence[OwnedEvent], now: datetime, *, window: timedelta) -> None:
    """Counts what companies did by the hour, credits what they bought, and sees to it that subscribers are told.

    The last thing a transaction does: purchases are appended to the ledger about no subject.

    Args:
        window: How long an immediate notification waits for more.
    """
    counts = Counter(
        Place(each.partner_id, each.told.domain, each.told.action, hour_of(each.told.occurred_at)) for each in events
    )
    if not counts:
        return
    await lock_partners(connection, {place.partner_id for place in counts})
    await company_actions.add(connection, counts)
    news = [(place.partner_id, place.domain, place.action, place.hour) for place in counts]
    await open_digests_for(connection, news, now, window=window)
    for each in events:
        if each.told.purchase:
            await _credit(connection, each.partner_id, each.told, each.told.purchase, now)


async def _credit(
    connection: Connection, partner_id: str, told: CompanyEvent, purchase: Purchase, now: datetime
) -> None:
    day, hour = told.occurred_at.date(), hour_of(now)
    credit_id = await credited.add(connection, partner_id, told.domain, purchase, day, hour, told.event)
    detail: Detail = {
        "credit_id": credit_id,
        "partner_id": partner_id,
        "domain": told.domain,
        "amount": f"{purchase.amount:.2f}",
        "currency": purchase.currency,
        "purchased_on": day.isoformat(),
    }
    await ledger.append(connection, now, "credited", detail)
