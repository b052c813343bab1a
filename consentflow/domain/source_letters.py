"""What the mails about a data-source request may say, as types: to whoever asked, and to officers.

None greets by a name or repeats a message, since anybody may have filled in the form. Where the data comes from
stands in one type alone, `SourceDecisionLetter`, and only as far as an officer has decided.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import TypedDict

from consentflow.domain.letters import Controller, Language, Recipient
from consentflow.domain.registrations import Kind
from consentflow.domain.source_requests import Extent, SourceState


class SourceLetterKind(StrEnum):
    """The mails about a data-source request."""

    RECEIPT = "source_receipt"
    IDENTITY = "source_identity"
    EXTENSION = "source_extension"
    DECISION = "source_decision"
    REMINDER = "officer_reminder"


class Head(TypedDict):
    """What every letter about a request has."""

    language: Language
    recipient: Recipient
    controller: Controller
    request_id: str
    received_on: date
    written_at: datetime


@dataclass(frozen=True, slots=True)
class _Letter:
    """What every mail about a request knows.

    Args:
        request_id: The request's own name, for letters and calls about it.
        received_on: When the request was received, where the controller is.
        written_at: UTC.
    """

    language: Language
    recipient: Recipient
    controller: Controller
    request_id: str
    received_on: date
    written_at: datetime

    @property
    def one_click(self) -> str | None:
        """Nothing to unsubscribe from: it was asked for, or is an officer's duty."""
        return None


@dataclass(frozen=True, slots=True)
class SourceReceiptLetter(_Letter):
    """The receipt of a request.

    Args:
        answer_by: The last day for the answer.
        swiss: Whether the requester lives in Switzerland.
        asks_identity: Whether a second mail asks to confirm the request.
    """

    answer_by: date
    swiss: bool
    asks_identity: bool
    kind: SourceLetterKind = SourceLetterKind.RECEIPT


@dataclass(frozen=True, slots=True)
class SourceIdentityLetter(_Letter):
    """The link by which a requester shows that the address is its own.

    Args:
        confirm: To the page with the button, absolute.
        confirm_by: The last full day for it.
    """

    confirm: str
    confirm_by: date
    kind: SourceLetterKind = SourceLetterKind.IDENTITY


@dataclass(frozen=True, slots=True)
class SourceExtensionLetter(_Letter):
    """The notice that the answer takes longer, and why (GDPR Art. 12(3)).

    Args:
        first_day: The last day for the answer before.
        answer_by: The last day for the answer now.
        reason: In the officer's words.
    """

    first_day: date
    answer_by: date
    swiss: bool
    reason: str
    kind: SourceLetterKind = SourceLetterKind.EXTENSION


@dataclass(frozen=True, slots=True)
class Source:
    """Where data came from, as far as it is told.

    Args:
        partner: The partner's name, else its id.
        person: The address of the person who registered; None when it is not told or not known.
        registered_on: Where the controller is.
    """

    partner: str
    person: str | None
    registered_on: date
    kind: Kind


@dataclass(frozen=True, slots=True)
class SourceDecisionLetter(_Letter):
    """The answer to a request.

    Args:
        also_received_on: When the requests were received that repeated this one and are answered with it.
        outcome: How the request ended.
        extent: How much is told; None when nothing is.
        sources: Oldest first; empty unless a partner is told.
        reason: Why not all is told, in the officer's words.
        swiss: Whether the requester lives in Switzerland.
    """

    also_received_on: tuple[date, ...]
    outcome: SourceState
    extent: Extent | None
    sources: tuple[Source, ...]
    reason: str | None
    swiss: bool
    kind: SourceLetterKind = SourceLetterKind.DECISION


@dataclass(frozen=True, slots=True)
class OfficerReminderLetter(_Letter):
    """Reminds an officer of a request. Whose it is, the console shows.

    Args:
        answer_by: The last day for the answer.
        days_left: Until that day; negative once it has passed.
        confirmed: Whether the requester has confirmed its identity.
        page: The request in the console, absolute.
    """

    answer_by: date
    days_left: int
    confirmed: bool
    page: str
    kind: SourceLetterKind = SourceLetterKind.REMINDER


SourceLetter = (
    SourceReceiptLetter | SourceIdentityLetter | SourceExtensionLetter | SourceDecisionLetter | OfficerReminderLetter
)
