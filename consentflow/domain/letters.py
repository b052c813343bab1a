"""What a mail may say, as types; here what every mail has, and the mails to leads.

A letter's context holds the contact, the company, the controller, links and dates. The partner, the person who
registered and the registration's id are not in it, so no template can tell them (GDPR Art. 14(2)(f) asks for the
source's category here; the source itself comes out only through a data-source request).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol


class Language(StrEnum):
    """The languages that letters and pages are written in."""

    GERMAN = "de"
    FRENCH = "fr"
    ITALIAN = "it"
    ENGLISH = "en"
    PORTUGUESE = "pt"
    SPANISH = "es"


class LetterKind(StrEnum):
    """The mails a lead can get because of a registration."""

    DOUBLE_OPT_IN = "double_opt_in"
    NOTICE = "notice"


@dataclass(frozen=True, slots=True)
class Controller:
    """The vendor that runs the service and answers for the data (GDPR Art. 4(7))."""

    name: str
    address: str
    email: str
    dpo_email: str
    privacy_policy_url: str
    privacy_policy_version: str
    supervisory_authority: str


@dataclass(frozen=True, slots=True)
class Recipient:
    """The person a letter is addressed to. ``address`` has its domain as A-labels."""

    address: str
    given_name: str | None
    family_name: str | None


@dataclass(frozen=True, slots=True)
class LeadLinks:
    """Links, absolute. ``confirm`` is for the double opt-in only; ``source_request`` is the same for everybody."""

    unsubscribe: str
    preferences: str
    confirm: str | None = None
    source_request: str = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class LeadLetter:
    """Everything the templates of a letter to a lead can see.

    Args:
        kind: Which letter.
        language: The language it is written in.
        recipient: Whom it is addressed to.
        company: The company's name as registered, else its domain; None when neither is known.
        controller: Who writes.
        links: The links it carries.
        written_at: When it is written, UTC; becomes the Date header.
        answer_until: Until when the question of a double opt-in stays open, UTC; None for a notice.
    """

    kind: LetterKind
    language: Language
    recipient: Recipient
    company: str | None
    controller: Controller
    links: LeadLinks
    written_at: datetime
    answer_until: datetime | None = None

    @property
    def one_click(self) -> str | None:
        """The link of List-Unsubscribe."""
        return self.links.unsubscribe


class Letter(Protocol):
    """What every mail of ours knows, whoever gets it. Its kind names its templates, and is its purpose as a mail."""

    @property
    def kind(self) -> StrEnum:
        """Which letter."""

    @property
    def language(self) -> Language:
        """The language it is written in."""

    @property
    def recipient(self) -> Recipient:
        """Whom it is addressed to."""

    @property
    def controller(self) -> Controller:
        """Who writes."""

    @property
    def written_at(self) -> datetime:
        """When it is written, UTC; becomes the Date header."""

    @property
    def one_click(self) -> str | None:
        """The link of List-Unsubscribe (RFC 8058), None for a mail that nobody can unsubscribe from."""


@dataclass(frozen=True, slots=True)
class FrozenMail:
    """A mail as it leaves: the bytes are made once and every attempt sends exactly these.

    Args:
        message_id: With angle brackets; derived from the mail's key, so that every attempt carries the same.
        envelope_from: Reverse path.
        envelope_to: Forward path.
        content: The whole RFC 5322 message, CRLF line ends.
        language: The language it is written in.
        text_version: Hash (SHA-256, hex) of the wording before anything personal was filled in: the evidence of
            what was asked.
    """

    message_id: str
    envelope_from: str
    envelope_to: str
    content: bytes
    language: Language
    text_version: str


Compose = Callable[[Letter, str], FrozenMail]
"""Renders and freezes a letter under a stable mail key; pure, so it may run inside a transaction."""


def last_full_day(until: datetime) -> datetime:
    """The end of the last day on which an answer is sure to count: letters name a date, not an hour."""
    return until.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(seconds=1)
