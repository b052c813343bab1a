"""Acts on personal data: who looked at, decided, handed out or erased what, and when.

The ledger holds them among its other entries: those whose detail names an actor and an act.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NewType

from consentflow.domain.addresses import Subject

Actor = NewType("Actor", str)
"""Who acts: ``key NAME`` for an API key, a pseudonym (``s-…``) for an officer, or one of the two below. No address."""

COMMAND_LINE: Final = Actor("command line")
"""Whoever may use the service's machine."""

SERVICE: Final = Actor("service")
"""Nobody: the daily sweep."""

SEEN_ONCE_IN: Final = timedelta(hours=1)
"""Who looks at the same again within this time leaves no second entry."""


class Act(StrEnum):
    """What was done."""

    VIEWED = "viewed"
    """Personal data was shown."""
    DECIDED = "decided"
    """A request was decided, extended or put off."""
    EXPORTED = "exported"
    """All that is held about a person was handed out."""
    ERASED = "erased"
    """A person was erased."""
    SWEPT = "swept"
    """What was kept long enough went."""


@dataclass(frozen=True, slots=True)
class RecordedAct:
    """An act as the ledger has it.

    Args:
        at: UTC.
        subject: Whom it is about, None when it is about nobody in particular.
        event: The ledger's name for what happened.
        detail: The rest of what was noted; no personal data.
    """

    entry_id: int
    at: datetime
    actor: Actor
    act: Act
    subject: Subject | None
    event: str
    detail: dict[str, object]


def of_key(name: str) -> Actor:
    """Whoever uses the API key of that name."""
    return Actor(f"key {name}")


def of_officer(subject: Subject) -> Actor:
    """An officer who is signed in."""
    return Actor(subject)
