"""What the templates of mails to partners' people see: companies, what they did, and when, in the reader's words."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from consentflow.domain.notifications import OLDEST_TOLD, URGENT, Action, CompanyReport, Delivery, Happened
from consentflow.domain.partner_letters import DigestLetter, SubscriptionLetter
from consentflow.mail.times import Times, date_in_words
from consentflow.mail.untrusted import Keep, shown, shown_in_subject

MOST_COMPANIES: Final = 25
"""How many companies one mail tells of; the partner page has the others. Gmail clips mails from 102 kB up."""

MOST_DAYS_LISTED: Final = 2
"""Days that are named one by one; of more, the number and the first and last are told."""

FEWEST_DAYS_DRAWN: Final = 3
"""Of fewer days the list has said it all."""

_WEEK: Final = 8
"""Calendar days that a week from one morning to the next touches."""

_DAY: Final = timedelta(days=1)

_BY_WEIGHT: Final = (
    Action.TRIAL_REQUESTED,
    Action.DEMO_REQUESTED,
    Action.PURCHASED,
    Action.PRICING_VIEWED,
    Action.CONTENT_DOWNLOADED,
    Action.CONTENT_VIEWED,
)
"""What a company did, the weightiest first."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One line: what a company did, how often, and when.

    Args:
        day: The day or days in words; None where the hours alone say it.
        days: How many days that were.
        hours: Begin and end; None in digests, which tell days.
    """

    action: str
    count: int
    is_urgent: bool
    day: str | None
    days: int
    hours: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Company:
    """One company and its lines.

    Args:
        title: Its name, else its domain.
        at_once: All its lines tell the same time, which need be said only once.
    """

    title: str
    domain: str
    is_urgent: bool
    deeds: tuple[Deed, ...]
    at_once: bool
    owned_until: str


@dataclass(frozen=True, slots=True)
class Period:
    """What a notification covers: ``kind`` names the heading, the others fill it in."""

    kind: str
    days: str
    hours: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of the picture; ``percent`` of the busiest day's, from zero."""

    day: str
    count: int
    percent: int


def subscription_context(letter: SubscriptionLetter, keep: Keep) -> dict[str, object]:
    """What the templates of a request for confirmation see."""
    return {
        "controller": letter.controller,
        "partner": keep(shown(letter.partner)),
        "address": letter.recipient.address,
        "confirm": letter.confirm,
        "unsubscribe": letter.unsubscribe,
        "answer_until": date_in_words(letter.answer_until.astimezone(UTC).date(), letter.language),
    }


def digest_context(letter: DigestLetter, keep: Keep) -> dict[str, object]:
    """What the templates of a notification see.

    Raises:
        ValueError: It tells of no company, or of one that did nothing.
    """
    if not letter.companies or not all(report.happened for report in letter.companies):
        raise ValueError("a notification tells of companies that did something")
    times = Times(letter.language, ZoneInfo(letter.time_zone))
    reports = sorted(letter.companies, key=lambda report: not _is_urgent(report))
    happened = [each for report in reports for each in report.happened]
    covered = _covered(letter, happened, times)
    return {
        "controller": letter.controller,
        "partner": keep(shown(letter.partner)),
        "delivery": letter.delivery.value,
        "period": _period(letter, happened, covered, times),
        "headline": _headline(reports[0], times),
        "first": shown_in_subject(reports[0].name) or reports[0].domain,
        "total": len(reports),
        "urgent": sum(map(_is_urgent, reports)),
        "companies": [_company(report, letter, keep, times) for report in reports[:MOST_COMPANIES]],
        "more": max(0, len(reports) - MOST_COMPANIES),
        "bars": [] if letter.delivery is Delivery.IMMEDIATE else _bars(happened, covered, times),
        "place": times.place,
        "page": letter.page,
        "unsubscribe": letter.unsubscribe,
    }


def deeds_by_day(report: CompanyReport, times: Times) -> tuple[Deed, ...]:
    """What a company did: a line for each kind, the weightiest first, with the days."""
    return tuple(_by_the_day(action, happened, times) for action, happened in _by_action(report).items())


def _deeds_by_hour(report: CompanyReport, times: Times, today: date) -> tuple[Deed, ...]:
    """The same, with the hours for what happened on one day."""
    return tuple(_by_the_hour(action, happened, times, today) for action, happened in _by_action(report).items())


def _is_urgent(report: CompanyReport) -> bool:
    return any(each.action in URGENT for each in report.happened)


def _company(report: CompanyReport, letter: DigestLetter, keep: Keep, times: Times) -> Company:
    if letter.delivery is Delivery.IMMEDIATE:
        deeds = _deeds_by_hour(report, times, times.day(letter.written_at))
    else:
        deeds = deeds_by_day(report, times)
    return Company(
        title=keep(shown(report.name)) or report.domain,
        domain=report.domain,
        is_urgent=_is_urgent(report),
        deeds=deeds,
        at_once=len(deeds) > 1 and len({(deed.day, deed.hours) for deed in deeds}) == 1,
        owned_until=times.long(report.owned_until),
    )


def _headline(report: CompanyReport, times: Times) -> list[Deed]:
    """What a subject tells of a company: what is urgent, if anything is, else whatever it did."""
    deeds = deeds_by_day(report, times)
    return [deed for deed in deeds if deed.is_urgent] or list(deeds)


def _by_action(report: CompanyReport) -> dict[Action, list[Happened]]:
    """What a company did, the weightiest kind first."""
    kinds = {each.action for each in report.happened}
    return {
        action: [each for each in report.happened if each.action is action] for action in _BY_WEIGHT if action in kinds
    }


def _by_the_hour(action: Action, happened: Sequence[Happened], times: Times, today: date) -> Deed:
    """One line, with the hours between which it happened; with the days if it was on several."""
    days = {times.day(each.hour) for each in happened}
    if len(days) > 1:
        return _by_the_day(action, happened, times)
    (day,) = days
    told = None if day == today else times.short(day)
    return Deed(action.value, _count(happened), action in URGENT, told, 1, _hours(happened, times))


def _by_the_day(action: Action, happened: Sequence[Happened], times: Times) -> Deed:
    """One line, with the days on which it happened."""
    days = sorted({times.day(each.hour) for each in happened})
    if len(days) == 1:
        told = times.short(days[0])
    elif len(days) <= MOST_DAYS_LISTED:
        told = times.both(days[0], days[1])
    else:
        told = times.span(days[0], days[-1])
    return Deed(action.value, _count(happened), action in URGENT, told, len(days), None)


def _hours(happened: Sequence[Happened], times: Times) -> tuple[str, str]:
    """The clock when the first of the hours began and when the last one ended."""
    hours = [times.hour(each.hour) for each in happened]
    return times.clock(min(begin for begin, _ in hours)), times.clock(max(end for _, end in hours))


def _covered(letter: DigestLetter, happened: Sequence[Happened], times: Times) -> tuple[date, date]:
    """The first and the last day that a notification covers.

    The day it is written counts only if something happened on it: at eight in the morning its silence means nothing.
    """
    days = [times.day(each.hour) for each in happened]
    since = times.day(max(letter.begins_at, letter.written_at - OLDEST_TOLD))
    first = min(since, *days)
    return first, max(first, times.day(letter.written_at) - _DAY, *days)


def _period(letter: DigestLetter, happened: Sequence[Happened], covered: tuple[date, date], times: Times) -> Period:
    if letter.delivery is Delivery.IMMEDIATE:
        days = [times.day(each.hour) for each in happened]
        first, last = min(days), max(days)
        if first == last:
            kind = "today" if first == times.day(letter.written_at) else "hours"
            return Period(kind, times.full(first), "–".join(_hours(happened, times)))
    else:
        first, last = covered
    if first == last:
        return Period("day", times.full(first))
    is_week = letter.delivery is Delivery.WEEKLY and (last - first).days < _WEEK
    return Period("week" if is_week else "days", times.span(first, last, with_year=True))


def _bars(happened: Iterable[Happened], covered: tuple[date, date], times: Times) -> list[Bar]:
    """The picture: one bar for every day covered, quiet ones included; none where there is nothing to see."""
    first, last = covered
    length = (last - first).days + 1
    if not FEWEST_DAYS_DRAWN <= length <= OLDEST_TOLD.days + 1:
        return []
    counts: Counter[date] = Counter()
    for each in happened:
        counts[times.day(each.hour)] += each.count
    top = max(counts.values())
    days = (first + _DAY * number for number in range(length))
    return [Bar(times.short(day), counts[day], _percent(counts[day], top)) for day in days]


def _percent(count: int, top: int) -> int:
    """The share in whole percent; what happened at all is never drawn as nothing."""
    return max(1, (200 * count + top) // (2 * top)) if count else 0


def _count(happened: Iterable[Happened]) -> int:
    return sum(each.count for each in happened)
