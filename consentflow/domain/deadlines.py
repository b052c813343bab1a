"""The statutory clock: until when a request must be answered, and when to remind whoever answers it.

Days are calendar days where the controller is. A term keeps both its ends: the **target**, the last day as counted,
that people work to, and the **deadline**, moved off a rest day, that is the law.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from types import MappingProxyType
from zoneinfo import ZoneInfo, available_timezones

import holidays
from dateutil.relativedelta import relativedelta

REMIND_DAYS_BEFORE = (14, 7, 3, 1)
"""Days before the deadline on which whoever answers is reminded; after it, every day."""

REMIND_AT = time(8)
"""The hour of a reminder, where the controller is."""

_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class RestDays:
    """The days on which no period ends where the controller is, and its time zone.

    Args:
        country: ISO 3166-1 alpha-2, one of `holiday_subdivisions`.
        subdivision: The part of the country whose public holidays count too, such as ``BY``; None for those of the
            whole country alone, which moves fewer deadlines.
        zone: Of the controller.
    """

    country: str
    subdivision: str | None
    zone: ZoneInfo

    def is_rest_day(self, day: date) -> bool:
        """Whether it is a Saturday, a Sunday or a public holiday (Regulation 1182/71 Art. 2)."""
        return day.weekday() >= _SATURDAY or day in _public_holidays(self.country, self.subdivision, day.year)

    def working_day_from(self, day: date) -> date:
        """The day itself if it is a working day, else the next one."""
        while self.is_rest_day(day):
            day += timedelta(days=1)
        return day


@dataclass(frozen=True, slots=True)
class Term:
    """Until when something must be done. A day ends with its last second.

    Args:
        target: The end of the last day as counted, UTC: what people work to.
        deadline: The end of the first working day from there, UTC: what the law allows.
        zone: Of the controller; what an instant's day is depends on it.
    """

    target: datetime
    deadline: datetime
    zone: ZoneInfo

    @property
    def target_day(self) -> date:
        """The last day as counted, where the controller is."""
        return self.target.astimezone(self.zone).date()

    @property
    def deadline_day(self) -> date:
        """The day that the deadline is the end of, where the controller is."""
        return self.deadline.astimezone(self.zone).date()


def statutory_term(received_at: datetime, months: int, calendar: RestDays) -> Term:
    """A period of months from an event on, under Regulation (EEC, Euratom) No 1182/71.

    The day of the event does not count (Art. 3(1)). The period ends with the last hour of the same date of the later
    month, or of that month's last day if it has no such date (Art. 3(2)(c)); if that is a Saturday, a Sunday or a
    public holiday, with the last hour of the next working day (Art. 3(4)).

    Args:
        received_at: The event, with its offset.
    """
    return _term(received_at, relativedelta(months=months), calendar)


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """How long a controller has to answer whoever asks for data of its own.

    Args:
        period: From receipt.
        extended: From receipt as well, once the controller has told the person why it takes longer.
        source: Where it is written.
        counted_by: Where it is written how the period is counted.
    """

    period: relativedelta
    extended: relativedelta
    source: str
    counted_by: str


GDPR_ANSWER = AnswerRule(
    period=relativedelta(months=1),
    extended=relativedelta(months=3),  # "extended by two further months", so three in all
    source="GDPR Art. 12(3)",
    counted_by="Regulation (EEC, Euratom) No 1182/71 Art. 3",
)

SWISS_ANSWER = AnswerRule(
    period=relativedelta(days=30),
    # The ordinance leaves the new period to the controller, who must name it; as long again twice is as far as we go.
    extended=relativedelta(days=90),
    source="Swiss FADP Art. 25(7) (“as a rule within 30 days”); DPO (SR 235.11) Art. 18(1) and (2)",
    # Both move the last day to the next working day at the place of performance: where the controller is.
    counted_by="Swiss CO Art. 77(1) and 78(1); Federal Act on time limits that end on Saturdays (SR 173.110.3) Art. 1",
)

_ANSWER_RULES: Mapping[str | None, AnswerRule] = MappingProxyType({"CH": SWISS_ANSWER})


def answer_rule(country: str | None) -> AnswerRule:
    """The rule for somebody who lives there (ISO 3166-1 alpha-2 or None): the GDPR's unless there is another."""
    return _ANSWER_RULES.get(country, GDPR_ANSWER)


def answer_term(received_at: datetime, country: str | None, calendar: RestDays, *, extended: bool = False) -> Term:
    """Until when a request that was received at that instant is to be answered.

    Args:
        received_at: With its offset.
        country: Where whoever asks lives.
        extended: The controller has extended the period, which still counts from receipt.
    """
    rule = answer_rule(country)
    return _term(received_at, rule.extended if extended else rule.period, calendar)


def next_reminder(term: Term, after: datetime) -> datetime:
    """The first reminder after an instant, UTC. There is always another: stop asking once the request is answered."""
    for days in REMIND_DAYS_BEFORE:
        reminder = _reminder_on(term.deadline_day - timedelta(days=days), term.zone)
        if reminder > after:
            return reminder
    day = max(term.deadline_day + timedelta(days=1), after.astimezone(term.zone).date())
    reminder = _reminder_on(day, term.zone)
    return reminder if reminder > after else _reminder_on(day + timedelta(days=1), term.zone)


@cache
def holiday_subdivisions() -> Mapping[str, frozenset[str]]:
    """The countries whose public holidays are known (ISO 3166-1 alpha-2), each with the codes of its parts."""
    supported = holidays.list_supported_countries(include_aliases=False)
    return MappingProxyType({country: frozenset(parts) for country, parts in supported.items()})


def is_time_zone(key: str) -> bool:
    """Whether it is a time zone's name, such as ``Europe/Berlin``."""
    return key in _time_zones()


def end_of_day(day: date, zone: ZoneInfo) -> datetime:
    """The last second of a day there, UTC. Of two midnights the first ends it; of none, the clock's jump does."""
    next_day = datetime.combine(day + timedelta(days=1), time(), zone)
    return next_day.astimezone(UTC) - timedelta(seconds=1)


def _term(received_at: datetime, period: relativedelta, calendar: RestDays) -> Term:
    target = received_at.astimezone(calendar.zone).date() + period  # a date that is missing becomes the month's last
    deadline = calendar.working_day_from(target)
    return Term(end_of_day(target, calendar.zone), end_of_day(deadline, calendar.zone), calendar.zone)


def _reminder_on(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, REMIND_AT, zone).astimezone(UTC)


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())  # goes through folders on the disk


@cache
def _public_holidays(country: str, subdivision: str | None, year: int) -> frozenset[date]:
    return frozenset(holidays.country_holidays(country, subdiv=subdivision, years=year, expand=False))
