"""Partners, and those of their people who are told what the partner's companies do."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from consentflow.domain.addresses import Subject
from consentflow.domain.letters import Language
from consentflow.domain.notifications import Action, Delivery

CONFIRM_VALIDITY = timedelta(days=14)
"""How long a new subscriber may take to confirm; until it is over no second mail asks."""

LEAVE_VALIDITY = timedelta(days=3 * 365)
"""How long the one-click link of a mail to a subscriber works."""

LATELY = timedelta(days=30)
"""How far back a partner is shown what its companies did."""

DEFAULT_TIME_ZONE = "Europe/Berlin"


@dataclass(frozen=True, slots=True)
class Partner:
    """A registering organisation. Unless told otherwise it is called by its id.

    Args:
        name: Untrusted text.
        language: In which its people are written to who have chosen none.
        time_zone: IANA name; hours and days are told in it.
    """

    partner_id: str
    name: str
    language: Language = Language.ENGLISH
    time_zone: str = DEFAULT_TIME_ZONE


class SubscriberKind(StrEnum):
    """Whose person a subscriber is."""

    PARTNER = "partner"
    """The partner's own: is told about all its companies."""
    GROWTH_SPECIALIST = "growth_specialist"
    """The vendor's: is told about the companies of the deals that name it."""


class SubscriberState(StrEnum):
    """Whether a subscriber is told anything."""

    PENDING = "pending"
    """Has not confirmed its address yet."""
    ACTIVE = "active"
    PAUSED = "paused"
    """By its own choice, or because mail to it came back."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a subscriber wants to be told, how often and in which language.

    Args:
        actions: None for all there are, those to come included; never empty.
        hour: Of the daily and weekly notification, in the partner's time zone.
        weekday: Of the weekly notification; 0 is Monday.
        language: None for the partner's.
    """

    actions: frozenset[Action] | None = None
    delivery: Delivery = Delivery.DAILY
    hour: int = 8
    weekday: int = 0
    language: Language | None = None


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One of a partner's people, or a growth specialist, who is told what companies do.

    Args:
        email: Personal data of this role alone, in clear; it goes when its owner leaves.
        since: When it confirmed or proved its address, UTC; None while it has not.
        created_at: When it was added, or last asked to confirm, UTC.
    """

    subscriber_id: UUID
    partner_id: str
    kind: SubscriberKind
    subject: Subject
    email: str = field(repr=False)
    choice: Choice
    state: SubscriberState
    since: datetime | None
    created_at: datetime


def in_order(actions: frozenset[Action]) -> Sequence[Action]:
    """Some actions in the order in which they are always named."""
    return [action for action in Action if action in actions]
