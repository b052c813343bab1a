"""An officer's day: which open request comes first, and how much time each has left."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from consentflow.domain.deadlines import RestDays
from consentflow.domain.source_requests import OPEN, SourceRequest, SourceState

SOON: Final = 7
"""A request that is due within so many days is due soon."""

ANSWERABLE: Final = frozenset({SourceState.IN_REVIEW, SourceState.EXTENDED})
"""The requester has done its part."""

_ONE_DAY = timedelta(days=1)


class Section(StrEnum):
    """Where a request stands in an officer's day; each stands in one place, the first that fits."""

    OVERDUE = "overdue"
    SOON = "soon"
    REVIEW = "review"
    """Waits for an officer, and there is time."""
    REQUESTER = "requester"
    """Waits for whoever asked."""


@dataclass(frozen=True, slots=True)
class TimeLeft:
    """The days until a deadline.

    Args:
        days: Calendar days; 0 on the day itself, negative after it.
        working: How many of them are working days, the deadline's own included.
    """

    days: int
    working: int


class Span(StrEnum):
    """How the chart puts deadlines together; in its order."""

    OVER = "over"
    TOMORROW = "tomorrow"
    """Today or tomorrow."""
    THREE = "3"
    WEEK = "7"
    FORTNIGHT = "14"
    MONTH = "30"
    LATER = "later"


_SPANS: Final = (
    (-1, Span.OVER),
    (1, Span.TOMORROW),
    (3, Span.THREE),
    (7, Span.WEEK),
    (14, Span.FORTNIGHT),
    (30, Span.MONTH),
)


@dataclass(frozen=True, slots=True)
class Open:
    """How many open requests share a deadline.

    Args:
        requester: Whether they wait for whoever asked.
    """

    deadline: datetime
    requester: bool
    count: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the chart: requests that wait for an officer, and those that wait for whoever asked."""

    span: Span
    officer: int
    requester: int

    @property
    def total(self) -> int:
        """Both."""
        return self.officer + self.requester


def time_left(deadline: datetime, now: datetime, calendar: RestDays) -> TimeLeft:
    """How much time there is until a deadline, where the controller is."""
    today, last = (at.astimezone(calendar.zone).date() for at in (now, deadline))
    days = (last - today).days
    ahead = (today + each * _ONE_DAY for each in range(1, min(days, 366) + 1))
    return TimeLeft(days, sum(not calendar.is_rest_day(day) for day in ahead))


def section_of(request: SourceRequest, now: datetime, calendar: RestDays) -> Section:
    """Where an open request stands in an officer's day."""
    if request.state not in ANSWERABLE or request.is_paused(now):
        overdue = request.concerns_officers and request.is_overdue(now)
        return Section.OVERDUE if overdue else Section.REQUESTER
    if request.is_overdue(now):
        return Section.OVERDUE
    return Section.SOON if time_left(request.deadline, now, calendar).days <= SOON else Section.REVIEW


def in_sections(
    requests: Iterable[SourceRequest], now: datetime, calendar: RestDays
) -> dict[Section, list[SourceRequest]]:
    """The open ones of some requests, by section, the most urgent first."""
    sections: dict[Section, list[SourceRequest]] = {section: [] for section in Section}
    for request in sorted(requests, key=lambda each: (each.deadline, each.request_id)):
        if request.state in OPEN:
            sections[section_of(request, now, calendar)].append(request)
    return sections


def chart(counts: Iterable[Open], now: datetime, calendar: RestDays) -> list[Bar]:
    """All open requests by the time that is left."""
    officer: Counter[Span] = Counter()
    requester: Counter[Span] = Counter()
    for each in counts:
        days = time_left(each.deadline, now, calendar).days
        span = next((span for most, span in _SPANS if days <= most), Span.LATER)
        (requester if each.requester else officer)[span] += each.count
    return [Bar(span, officer[span], requester[span]) for span in Span]
