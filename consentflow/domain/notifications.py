"""What partners' people are told: which company did what, never which person.

The types are the rule: nothing here can hold a contact, an address, a visitor or an exact second.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class Action(StrEnum):
    """Something a company did on the vendor's site that is worth telling the owning partner."""

    TRIAL_REQUESTED = "trial_requested"
    DEMO_REQUESTED = "demo_requested"
    PRICING_VIEWED = "pricing_viewed"
    CONTENT_VIEWED = "content_viewed"
    CONTENT_DOWNLOADED = "content_downloaded"
    PURCHASED = "purchased"


URGENT = frozenset({Action.TRIAL_REQUESTED, Action.DEMO_REQUESTED})
"""Somebody at the company waits for an answer."""

ACTION_OF_EVENT = {f"company.{action.value}": action for action in Action} | {
    "contact.content_downloaded": Action.CONTENT_DOWNLOADED,
}
"""Events about a company by their CloudEvents type, and the action that each is."""

OLDEST_TOLD = timedelta(days=14)
"""An action that is older by the time it could be told is no news any more."""


class Delivery(StrEnum):
    """How often a subscriber is told."""

    IMMEDIATE = "immediate"
    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True, slots=True)
class Happened:
    """How often a company did one thing within one hour.

    Args:
        domain: The company's registrable domain.
        hour: When the hour began, UTC. Nothing finer is kept: a partner must not be able to match a click to a person.
        count: How often, since the last time the reader was told.
    """

    domain: str
    action: Action
    hour: datetime
    count: int


@dataclass(frozen=True, slots=True)
class CompanyReport:
    """What one company did in the time a notification covers.

    Args:
        name: As registered, or None; untrusted text.
        happened: What it did; never empty.
        owned_until: Until when the reader's partner owns the company, UTC.
    """

    name: str | None
    domain: str
    happened: tuple[Happened, ...]
    owned_until: datetime


def hour_of(instant: datetime) -> datetime:
    """The hour an instant lies in, UTC."""
    return instant.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
