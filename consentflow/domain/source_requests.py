"""Data-source requests (GDPR Art. 12 and 15(1)(g)): where one stands, and which decision fits.

Nothing here knows who supplied the data. When what is due, `consentflow.domain.source_clock` tells.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from consentflow.domain.addresses import Subject
from consentflow.domain.errors import RequestNotReady
from consentflow.domain.letters import Language


class SourceState(StrEnum):
    """Where a request stands."""

    RECEIVED = "received"
    IDENTITY_PENDING = "identity_pending"
    """Whoever asks has not yet shown to be the person the address belongs to."""
    IN_REVIEW = "in_review"
    EXTENDED = "extended"
    """In review, with two more months."""
    DISCLOSED = "disclosed"
    PARTLY_DISCLOSED = "partly_disclosed"
    REFUSED = "refused"
    NOT_FOUND = "not_found"
    ABANDONED = "abandoned"
    """Nobody confirmed to have asked."""


OPEN = frozenset({SourceState.RECEIVED, SourceState.IDENTITY_PENDING, SourceState.IN_REVIEW, SourceState.EXTENDED})
"""The request still waits for something."""


class Channel(StrEnum):
    """How a request reached us. Anybody may use the form, only officers the others."""

    FORM = "form"
    API = "api"
    CONSOLE = "console"


class SourceDecision(StrEnum):
    """What an officer may decide."""

    DISCLOSE = "disclose"
    PARTLY = "partly"
    REFUSE = "refuse"
    NOT_FOUND = "not_found"


class Extent(StrEnum):
    """How much of the source a letter tells."""

    PERSON = "person"
    """The partner and the person who registered."""
    PARTNER = "partner"
    """The partner alone."""
    CATEGORY = "category"
    """Only what kind of source it is."""


STATE_AFTER = {
    SourceDecision.DISCLOSE: SourceState.DISCLOSED,
    SourceDecision.PARTLY: SourceState.PARTLY_DISCLOSED,
    SourceDecision.REFUSE: SourceState.REFUSED,
    SourceDecision.NOT_FOUND: SourceState.NOT_FOUND,
}

TELLS_A_SOURCE = frozenset({SourceDecision.DISCLOSE, SourceDecision.PARTLY})
NEEDS_REASONS = frozenset({SourceDecision.PARTLY, SourceDecision.REFUSE})
"""The person is told why it does not get all it asked for (GDPR Art. 12(4))."""


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """A request, as stored.

    Args:
        email: The address it is about, the only one that is ever answered; None once erased, as name and message.
        language: The language of the letters.
        country: ISO 3166-1 alpha-2, or None.
        received_at: When it reached the controller, by whatever way, UTC: the clock counts from here.
        opened_at: When it was entered here, UTC.
        target: The end of the last day as counted, UTC: what officers work to.
        deadline: The end of the day that is the law, UTC.
        identity_confirmed_at: When it was shown that the person the address belongs to has asked.
        identity_note: How, in an officer's words; None when the requester pressed the button.
        reminded_at: When officers were last reminded.
        pause_until: When the pause ends or has ended.
        linked_to: The open request of the same person that this one repeats.
        version: Grows with everything an officer or the requester does.
        next_step_at: When something is to be done by itself, UTC; None when nothing is.
    """

    request_id: str
    subject: Subject
    email: str | None
    name: str | None
    message: str | None
    language: Language
    country: str | None
    channel: Channel
    state: SourceState
    received_at: datetime
    opened_at: datetime
    target: datetime
    deadline: datetime
    identity_confirmed_at: datetime | None = None
    identity_note: str | None = None
    reminded_at: datetime | None = None
    extended_at: datetime | None = None
    extension_reason: str | None = None
    paused_at: datetime | None = None
    pause_until: datetime | None = None
    pause_reason: str | None = None
    decision: SourceDecision | None = None
    extent: Extent | None = None
    reason: str | None = None
    balancing: str | None = None
    decided_by: str | None = None
    closed_at: datetime | None = None
    linked_to: str | None = None
    version: int = 1
    next_step_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it still waits for something."""
        return self.state in OPEN

    def is_overdue(self, now: datetime) -> bool:
        """Whether it is unanswered although its deadline has passed."""
        return self.is_open and self.deadline < now

    def is_paused(self, now: datetime) -> bool:
        """Whether the clock stands still because an officer waits for the requester."""
        return self.is_open and self.pause_until is not None and now < self.pause_until

    @property
    def paused_for(self) -> timedelta:
        """How long the clock stood still, or will have."""
        if self.paused_at is None or self.pause_until is None:
            return timedelta()
        return self.pause_until - self.paused_at

    @property
    def concerns_officers(self) -> bool:
        """Whether officers are reminded of it.

        What comes by the form is reviewed once its identity is confirmed, and together with the open request it
        repeats, which is due no later: whoever fills in forms at random is no officer's trouble.
        """
        if self.channel is not Channel.FORM:
            return True
        return self.identity_confirmed_at is not None and self.linked_to is None


def decided(
    request: SourceRequest, decision: SourceDecision, extent: Extent | None, by: str, now: datetime, *, known: bool
) -> SourceRequest:
    """The request, decided; it can be decided once.

    Args:
        extent: How much is told, for a decision that tells a source.
        by: The officer's pseudonym or the name of an API key.
        known: Whether any registration was found for the address.

    Raises:
        RequestNotReady: It is closed, or the decision does not fit what is known.
    """
    insist_on_open(request)
    if decision in TELLS_A_SOURCE and not known:
        raise RequestNotReady("nothing_found", "There is no registration for this address, so nothing to disclose.")
    if decision in TELLS_A_SOURCE and request.identity_confirmed_at is None:
        raise RequestNotReady("identity_not_confirmed", "Nothing is disclosed before the identity is confirmed.")
    if decision is SourceDecision.NOT_FOUND and known:
        raise RequestNotReady("registrations_found", "There are registrations for this address.")
    return _closed(replace(request, decision=decision, extent=extent, decided_by=by), STATE_AFTER[decision], now)


def abandoned(request: SourceRequest, now: datetime) -> SourceRequest:
    """The request that nobody confirmed to have made."""
    return _closed(request, SourceState.ABANDONED, now)


def _closed(request: SourceRequest, state: SourceState, now: datetime) -> SourceRequest:
    return replace(request, state=state, closed_at=now, next_step_at=None, version=request.version + 1)


def insist_on_open(request: SourceRequest) -> None:
    """Lets only a request pass that still waits for something.

    Raises:
        RequestNotReady: It is decided, or closed otherwise.
    """
    if request.decision is not None:
        raise RequestNotReady("already_decided", "The request has been decided.")
    if not request.is_open:
        raise RequestNotReady("request_closed", "The request has been closed.")
