"""Data-source requests (GDPR Art. 12 and 15(1)(g)): where one stands, what is due next, which decision fits.

The clock starts on receipt. It can be extended once, and stands still while an officer waits for the requester. Nothing
here knows who supplied the data.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from consentflow.domain.addresses import Subject
from consentflow.domain.deadlines import RestDays, Term, answer_term, next_reminder
from consentflow.domain.errors import RequestNotReady
from consentflow.domain.letters import Language

LEAST_TIME_TO_CONFIRM = timedelta(days=14)
"""How long a requester has at least to confirm who it is, however late the request reached us."""

LONGEST_PAUSE = timedelta(days=30)
"""The longest an officer may wait for the requester; a pause ends by itself."""

USUAL_PAUSE = timedelta(days=14)

MAILS_AGAIN_AFTER = timedelta(days=1)
"""A further request by the form is written to only after this time: nobody can flood a mailbox in its owner's name."""


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


class Step(StrEnum):
    """What becomes due by itself."""

    ACKNOWLEDGE = "acknowledge"
    """The receipt, and the link to confirm one's identity by."""
    REMIND = "remind"
    ABANDON = "abandon"


@dataclass(frozen=True, slots=True)
class Due:
    """A step, and when it is to be taken, UTC."""

    step: Step
    at: datetime


@dataclass(frozen=True, slots=True)
class SourceRules:
    """How deadlines of requests are counted.

    Args:
        pauses: Whether the clock stands still while an officer waits for the requester.
    """

    calendar: RestDays
    pauses: bool = True

    def term(self, request: SourceRequest, *, with_pause: bool = True) -> Term:
        """Until when a request is to be answered, as it stands."""
        received_at = request.received_at
        if self.pauses and with_pause:
            received_at += request.paused_for
        return answer_term(received_at, request.country, self.calendar, extended=request.extended_at is not None)

    def next_step(self, request: SourceRequest) -> Due | None:
        """What is due next; None when the request has come to its end, or waits for people alone."""
        if request.state is SourceState.RECEIVED:
            return Due(Step.ACKNOWLEDGE, request.opened_at)
        term, due = self.term(request), []
        if request.is_open and request.concerns_officers:
            due.append(Due(Step.REMIND, next_reminder(term, request.reminded_at or request.opened_at)))
        if request.state is SourceState.IDENTITY_PENDING:
            due.append(Due(Step.ABANDON, self.abandoned_at(request)))
        return min(due, key=lambda each: each.at, default=None)

    def abandoned_at(self, request: SourceRequest) -> datetime:
        """When a request is closed that nobody confirms to have made: once its deadline has passed."""
        over = self.term(request).deadline + timedelta(seconds=1)
        return max(over, request.opened_at + LEAST_TIME_TO_CONFIRM)

    def settled(self, request: SourceRequest) -> SourceRequest:
        """The request with its deadlines, its state in review and its next step as they follow from the rest."""
        term, state = self.term(request), request.state
        if state in {SourceState.IDENTITY_PENDING, SourceState.IN_REVIEW} and request.identity_confirmed_at:
            state = SourceState.EXTENDED if request.extended_at else SourceState.IN_REVIEW
        request = replace(request, target=term.target, deadline=term.deadline, state=state)
        due = self.next_step(request)
        return replace(request, next_step_at=due.at if due else None)

    def extended(self, request: SourceRequest, reason: str, now: datetime) -> SourceRequest:
        """The request with two more months, which only its first deadline allows (GDPR Art. 12(3)).

        Raises:
            RequestNotReady: It is closed, extended already, or too late.
        """
        _insist_on_open(request)
        if request.extended_at is not None:
            raise RequestNotReady("already_extended", "The request has been extended; it can be extended once.")
        if request.deadline < now:
            raise RequestNotReady("deadline_passed", "The first deadline has passed; it cannot be extended any more.")
        state = SourceState.EXTENDED if request.state is SourceState.IN_REVIEW else request.state
        return self._changed(replace(request, state=state, extended_at=now, extension_reason=reason))

    def paused(self, request: SourceRequest, reason: str, until: datetime, now: datetime) -> SourceRequest:
        """The request with its clock standing still while an officer waits for the requester (GDPR Art. 12(6)).

        Raises:
            RequestNotReady: It is closed, was paused already, is overdue, or pauses are switched off.
        """
        _insist_on_open(request)
        if not self.pauses:
            raise RequestNotReady("pauses_switched_off", "The clock of requests is never stopped here.")
        if request.paused_at is not None:
            raise RequestNotReady("already_paused", "The request has been paused; it can be paused once.")
        if request.deadline < now:
            raise RequestNotReady("deadline_passed", "The deadline has passed; the clock cannot be stopped any more.")
        return self._changed(replace(request, paused_at=now, pause_until=until, pause_reason=reason))

    def resumed(self, request: SourceRequest, now: datetime) -> SourceRequest:
        """The request with its clock going again.

        Raises:
            RequestNotReady: It is not paused.
        """
        if not request.is_paused(now):
            raise RequestNotReady("not_paused", "The request is not paused.")
        return self._changed(replace(request, pause_until=now))

    def confirmed(self, request: SourceRequest, now: datetime, note: str | None = None) -> SourceRequest:
        """The request of somebody who has shown to be the person the address belongs to.

        Args:
            note: How it was shown, if not by the button.
        """
        return self._changed(replace(request, identity_confirmed_at=now, identity_note=note))

    def _changed(self, request: SourceRequest) -> SourceRequest:
        return self.settled(replace(request, version=request.version + 1))


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
    _insist_on_open(request)
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


def _insist_on_open(request: SourceRequest) -> None:
    if request.decision is not None:
        raise RequestNotReady("already_decided", "The request has been decided.")
    if not request.is_open:
        raise RequestNotReady("request_closed", "The request has been closed.")
