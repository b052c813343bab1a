"""Deals: what only they may say, and the vendor's growth specialist who works one with the partner.

A growth specialist is told about the companies of the deals that name it, from the first of them to the last.
"""

from datetime import datetime

from consentflow.domain.addresses import Mailbox, Subject
from consentflow.domain.errors import InvalidInput
from consentflow.domain.intake import RegistrationIn
from consentflow.domain.partners import Choice, SubscriberKind
from consentflow.domain.policy import Regime
from consentflow.domain.registrations import Kind, Registration
from consentflow.operations.subscribing import activated, add, leave, new_subscriber
from consentflow.storage import subscribers
from consentflow.storage.pool import Connection


def insist_on_a_deal(request: RegistrationIn, regime: Regime) -> None:
    """Refuses what can be said only of a deal, or only of one in the double opt-in region.

    Raises:
        InvalidInput: ``only_for_deals`` or ``outside_the_region``.
    """
    if request.kind is not Kind.DEAL:
        for member in ("deal_reference", "growth_specialist"):
            if getattr(request, member) is not None:
                raise InvalidInput(f"/{member}", "only_for_deals", "can be given only for a deal")
    if request.growth_specialist is not None and regime is not Regime.DOUBLE_OPT_IN:
        raise InvalidInput("/growth_specialist", "outside_the_region", "is for deals in the double opt-in region")


async def name_specialist(
    connection: Connection, deal: Registration, subject: Subject, mailbox: Mailbox, now: datetime
) -> None:
    """A deal names its growth specialist, who is told at once what the deal's company does, if anybody can own it.

    One who is a subscriber already keeps its choice and state. The caller holds the specialist's lock.
    """
    if deal.company_domain is None:
        return
    known = await subscribers.find(connection, deal.partner_id, subject)
    if known is None:
        kind = SubscriberKind.GROWTH_SPECIALIST
        known = activated(new_subscriber(deal.partner_id, subject, mailbox, Choice(), now, kind), now)
        await add(connection, known, now, "deal")
    if known.kind is SubscriberKind.GROWTH_SPECIALIST:
        await subscribers.follow(connection, known.subscriber_id, deal.company_domain)


async def release_specialist(connection: Connection, deal: Registration, now: datetime) -> None:
    """A deal was withdrawn: its growth specialist leaves with the last one. The caller holds the specialist's lock."""
    if deal.growth_specialist is None or deal.company_domain is None:
        return
    known = await subscribers.find(connection, deal.partner_id, deal.growth_specialist)
    if known is None or known.kind is not SubscriberKind.GROWTH_SPECIALIST:
        return
    await subscribers.unfollow_unless_named(connection, known.subscriber_id, deal.company_domain)
    if not await subscribers.follows_any(connection, known.subscriber_id):
        await leave(connection, known, now, "deal")
