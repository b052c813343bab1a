"""The clock of data-source requests: until when one is to be answered, and what becomes due by itself.

It starts on receipt, can be extended once, and stands still while an officer waits for the requester.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from consentflow.domain.deadlines import RestDays, Term, answer_term, next_reminder
from consentflow.domain.errors import RequestNotReady
from consentflow.domain.source_requests import SourceRequest, SourceState, insist_on_open

LEAST_TIME_TO_CONFIRM = timedelta(days=14)
"""How long a requester has at least to confirm who it is, however late the request reached us."""

LONGEST_PAUSE = timedelta(days=30)
"""The longest an officer may wait for the requester; a pause ends by itself."""

USUAL_PAUSE = timedelta(days=14)

MAILS_AGAIN_AFTER = timedelta(days=1)
"""A further request by the form is written to only after this time: nobody can flood a mailbox in its owner's name."""


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
        insist_on_open(request)
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
        insist_on_open(request)
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
