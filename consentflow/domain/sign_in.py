"""Signing in with a link sent to one's address: there are no passwords."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from consentflow.domain.letters import Controller, Language, Recipient


class Door(StrEnum):
    """What one can sign in to; also the path of its pages."""

    PARTNER = "partner"
    CONSOLE = "console"


LINK_VALIDITY = timedelta(minutes=20)
"""How long a link to sign in can be used, once."""

MOST_LINKS = 5
"""How many links are mailed to one person within `LINKS_COUNT_FOR`; further ones are not, and nobody is told."""

LINKS_COUNT_FOR = timedelta(hours=1)

SESSION_VALIDITY = {Door.PARTNER: timedelta(hours=12), Door.CONSOLE: timedelta(hours=2)}
"""How long a session lasts at most; officers see personal data, so theirs are short."""

SESSION_IDLE = {Door.PARTNER: timedelta(hours=2), Door.CONSOLE: timedelta(minutes=20)}
"""How long a session lasts that nobody uses."""


class SignInKind(StrEnum):
    """The mail that lets somebody in."""

    SIGN_IN = "sign_in"


@dataclass(frozen=True, slots=True)
class SignInLetter:
    """Everything the templates of the mail with the link can see.

    Args:
        door: What the link opens.
        link: To the page with the button, absolute.
        valid_until: Until when it can be used, UTC.
    """

    language: Language
    recipient: Recipient
    controller: Controller
    door: Door
    link: str
    written_at: datetime
    valid_until: datetime
    kind: SignInKind = SignInKind.SIGN_IN

    @property
    def one_click(self) -> str | None:
        """Nothing to unsubscribe from: it was asked for."""
        return None
