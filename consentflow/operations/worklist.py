"""What an officer finds on the desk: open requests by urgency, and whether the service is well."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from consentflow.domain.clock import Clock
from consentflow.domain.deadlines import RestDays
from consentflow.domain.evidence import Seal
from consentflow.domain.paging import Mark, Page
from consentflow.domain.source_requests import OPEN, SourceRequest, SourceState
from consentflow.domain.worklist import ANSWERABLE, Bar, Section, TimeLeft, chart, in_sections, time_left
from consentflow.storage import checkpoints, mail_fault, outbox, source_requests, verifications, worklist
from consentflow.storage.mail_fault import MailFault
from consentflow.storage.pool import Database
from consentflow.storage.source_requests import Wanted
from consentflow.storage.verifications import Verification

MOST = 200
"""Requests that a day shows of those that wait for officers, and of those that wait for whoever asked."""

PAGE = 50
"""Requests of a page of a list."""

PATIENCE = timedelta(minutes=5)
"""How long a message may wait for Temporal before an officer is told."""

_WITH_REQUESTER = frozenset({SourceState.RECEIVED, SourceState.IDENTITY_PENDING})


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the service is well.

    Args:
        checkpoint: The latest over the ledger, None when there is none.
        verification: What the last look at the whole ledger found, None when nobody has looked.
        waiting: Messages that Temporal has not taken, and since when the oldest of them waits.
        fault: What the mail server refuses of our set-up.
    """

    checkpoint: Seal | None
    verification: Verification | None
    waiting: int
    oldest: datetime | None
    fault: MailFault | None
    as_of: datetime

    @property
    def is_behind(self) -> bool:
        """Whether Temporal has not taken a message for longer than it ever should."""
        return self.oldest is not None and self.oldest < self.as_of - PATIENCE


@dataclass(frozen=True, slots=True)
class Today:
    """An officer's day.

    Args:
        left: The time that each request of the sections has left, by its id.
        total: How many requests are open at all.
    """

    as_of: datetime
    sections: Mapping[Section, Sequence[SourceRequest]]
    left: Mapping[str, TimeLeft]
    bars: Sequence[Bar]
    total: int
    health: Health


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of requests.

    Args:
        left: The time that each has left, by its id.
    """

    page: Page[SourceRequest]
    left: Mapping[str, TimeLeft]
    as_of: datetime


class Worklist:
    """Reads what waits; changes nothing. What it tells holds no personal data."""

    def __init__(self, database: Database, clock: Clock, calendar: RestDays) -> None:
        self._database = database
        self._clock = clock
        self._calendar = calendar

    async def open_ones(self, after: Mark | None) -> Listed:
        """Every request that waits for something, the earliest deadline first."""
        async with self._database.transaction() as connection:
            found = await source_requests.find_page(connection, Wanted(OPEN), after, PAGE + 1)
        shown = found[:PAGE]
        more = Mark(shown[-1].deadline, shown[-1].request_id) if len(found) > PAGE else None
        return self._listed(Page(shown, more))

    async def closed_ones(self, after: Mark | None) -> Listed:
        """Every request that has come to an end, the latest first."""
        async with self._database.transaction() as connection:
            found = await source_requests.find_closed(connection, after, PAGE + 1)
        shown = found[:PAGE]
        more = shown[-1].closed_at if len(found) > PAGE else None
        return self._listed(Page(shown, Mark(more, shown[-1].request_id) if more else None))

    def _listed(self, page: Page[SourceRequest]) -> Listed:
        now = self._clock.now()
        return Listed(
            page, {each.request_id: time_left(each.deadline, now, self._calendar) for each in page.entries}, now
        )

    async def today(self) -> Today:
        """What there is to do, the most urgent first."""
        now, calendar = self._clock.now(), self._calendar
        async with self._database.transaction() as connection:
            theirs = await source_requests.find_page(connection, Wanted(_WITH_REQUESTER), None, MOST)
            ours = await source_requests.find_page(connection, Wanted(ANSWERABLE), None, MOST)
            counts = await worklist.count_open(connection)
            checkpoint = await checkpoints.find_latest(connection)
            waiting, oldest = await outbox.depth(connection)
            health = Health(
                checkpoint=checkpoint.seal if checkpoint else None,
                verification=await verifications.find_latest(connection),
                waiting=waiting,
                oldest=oldest,
                fault=await mail_fault.find(connection),
                as_of=now,
            )
        return Today(
            as_of=now,
            sections=in_sections([*ours, *theirs], now, calendar),
            left={each.request_id: time_left(each.deadline, now, calendar) for each in (*ours, *theirs)},
            bars=chart(counts, now, calendar),
            total=sum(each.count for each in counts),
            health=health,
        )
