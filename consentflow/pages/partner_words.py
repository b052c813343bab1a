"""What the templates of the partner page see: companies, days, hours and amounts in the reader's words."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import format_skeleton, get_day_names
from babel.numbers import format_currency, format_decimal

from consentflow.domain.letters import Language
from consentflow.domain.notifications import URGENT, Action, CompanyReport, Delivery
from consentflow.domain.partners import Choice
from consentflow.mail.partner_context import Deed, deeds_by_day
from consentflow.mail.times import Times, locale_of
from consentflow.mail.untrusted import shown
from consentflow.operations.partner_desk import ActiveCompany, Companies
from consentflow.storage.partner_views import MonthOfCredits

ENDS_SOON: Final = timedelta(days=30)
"""A company that is owned for no longer than this is worth a second look."""

HEIGHT: Final = 24
"""Of a bar for the busiest day, in the units of the picture."""

TALLEST_AT: Final = 5
"""A day with fewer actions than this is not drawn at full height, however quiet the others were."""

_AMOUNT: Final = "#,##0.00\u00a0¤¤"
"""1,234.50 EUR: codes line up, and are the same in every language."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A day in the picture: how far from the left, how high, and whether somebody waits for an answer."""

    left: int
    height: int
    is_urgent: bool


@dataclass(frozen=True, slots=True)
class CompanyShown:
    """A company. ``title`` is its name, or else its domain; ``deeds`` is empty for one that did nothing lately."""

    title: str
    domain: str
    owned_until: str
    ends_soon: bool
    is_urgent: bool
    count: int
    deeds: tuple[Deed, ...]
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Month:
    """What was credited in one month, in one currency."""

    name: str
    purchases: str
    amount: str


@dataclass(frozen=True, slots=True)
class Words:
    """A reader's language and the partner's time zone.

    Args:
        zone: IANA name.
    """

    language: Language
    zone: str

    @property
    def times(self) -> Times:
        """Days and hours."""
        return Times(self.language, ZoneInfo(self.zone))

    @property
    def place(self) -> str:
        """The city whose clocks are meant."""
        return self.times.place

    def companies(self, page: Companies) -> list[CompanyShown]:
        """The companies of a page."""
        return [self._company(each, page) for each in page.shown]

    def period(self, page: Companies) -> str:
        """The days that the page tells of: 24 Oct – 22 Nov 2026."""
        return self.times.span(self.times.day(page.since), self.times.day(page.now), with_year=True)

    def moment(self, instant: datetime) -> tuple[str, str]:
        """A day and a time on it: Monday, 9 November 2026; 08:00."""
        local = instant.astimezone(ZoneInfo(self.zone)).replace(tzinfo=None)
        return self.times.full(local.date()), self.times.clock(local)

    def hours(self) -> list[tuple[int, str]]:
        """The hours of a day as the clock shows them."""
        return [(hour, self.hour(hour)) for hour in range(24)]

    def hour(self, hour: int) -> str:
        """08:00."""
        return self.times.clock(datetime.combine(date.min, time(hour), UTC))

    def weekdays(self) -> list[tuple[int, str]]:
        """Monday to Sunday."""
        return [(day, self.weekday(day)) for day in range(7)]

    def weekday(self, day: int) -> str:
        """Monday, for 0."""
        return str(get_day_names("wide", "stand-alone", locale_of(self.language))[day])

    def months(self, credits: Sequence[MonthOfCredits]) -> list[Month]:  # noqa: A002 - what they are called
        """What was credited, month by month."""
        return [
            Month(
                name=_capitalised(format_skeleton("yMMMM", each.month, locale=locale_of(self.language))),
                purchases=format_decimal(each.purchases, locale=locale_of(self.language)),
                amount=format_currency(each.amount, each.currency, _AMOUNT, locale=locale_of(self.language)),
            )
            for each in credits
        ]

    def _company(self, active: ActiveCompany, page: Companies) -> CompanyShown:
        report = CompanyReport(active.name, active.domain, tuple(active.happened), active.owned_until)
        return CompanyShown(
            title=shown(active.name) or active.domain,
            domain=active.domain,
            owned_until=self.times.long(active.owned_until),
            ends_soon=active.owned_until - page.now <= ENDS_SOON,
            is_urgent=any(each.action in URGENT for each in active.happened),
            count=sum(each.count for each in active.happened),
            deeds=deeds_by_day(report, self.times),
            bars=self._bars(active, page),
        )

    def _bars(self, active: ActiveCompany, page: Companies) -> tuple[Bar, ...]:
        counts: Counter[date] = Counter()
        for each in active.happened:
            counts[self.times.day(each.hour)] += each.count
        urgent = {self.times.day(each.hour) for each in active.happened if each.action in URGENT}
        first = self.times.day(page.since)
        top = max(TALLEST_AT, *counts.values()) if counts else TALLEST_AT
        return tuple(
            Bar((day - first).days, max(2, round(HEIGHT * count / top)), day in urgent)
            for day, count in sorted(counts.items())
        )


def _capitalised(text: str) -> str:
    return text[:1].upper() + text[1:]


def kinds() -> list[Deed]:
    """One of everything that companies do, to choose from."""
    return [Deed(action.value, 1, action in URGENT, None, 0, None) for action in Action]


def read_choice(sent: dict[str, list[str]]) -> Choice | None:
    """What a form says that a subscriber wants; None where it chooses nothing, or something there is not."""
    try:
        (extent,), (delivery,), (hour,), (weekday,) = (sent[name] for name in ("extent", "delivery", "hour", "weekday"))
        actions = frozenset(Action(name) for name in sent.get("action", []))
        wanted = sent.get("mails", [""])[0]
        choice = Choice(
            actions=None if extent == "all" else actions,
            delivery=Delivery(delivery),
            hour=int(hour),
            weekday=int(weekday),
            language=Language(wanted) if wanted else None,
        )
    except (KeyError, ValueError):
        return None
    is_sound = choice.hour in range(24) and choice.weekday in range(7) and (choice.actions is None or choice.actions)
    return choice if is_sound else None
