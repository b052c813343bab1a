"""Days and hours in words: in a reader's language and, where it is known, the reader's time zone."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from babel.dates import (
    format_date,
    format_interval,
    format_skeleton,
    format_time,
    get_timezone,
    get_timezone_location,
)
from babel.lists import format_list

from consentflow.domain.letters import Language

_LOCALES: Final = {Language.ENGLISH: "en_GB", Language.PORTUGUESE: "pt_PT"}
_HOUR: Final = timedelta(hours=1)
_THIN: Final = "\u2009"
"""A space that not every font and terminal has."""


def locale_of(language: Language) -> str:
    """The locale whose customs a language's letters follow."""
    return _LOCALES.get(language, language.value)


def date_in_words(day: date, language: Language) -> str:
    """9 November 2026."""
    return format_date(day, format="long", locale=locale_of(language))


@dataclass(frozen=True, slots=True)
class Times:
    """Days and hours as one reader has them on the wall.

    Args:
        zone: The reader's time zone.
    """

    language: Language
    zone: ZoneInfo

    def day(self, instant: datetime) -> date:
        """The day an instant lies in."""
        return instant.astimezone(self.zone).date()

    def hour(self, began: datetime) -> tuple[datetime, datetime]:
        """Begin and end of an hour as a clock on the wall shows them, without a zone.

        Where clocks are turned back within a night, two hours are told alike; where they are turned forward, the
        hour before ends as any other.
        """
        begin = began.astimezone(self.zone).replace(tzinfo=None)
        return begin, begin + _HOUR

    def clock(self, moment: datetime) -> str:
        """14:30."""
        return format_time(moment.time(), format="short", locale=self._locale)

    def long(self, instant: datetime) -> str:
        """9 November 2026."""
        return date_in_words(self.day(instant), self.language)

    def full(self, day: date) -> str:
        """Monday, 9 November 2026."""
        return format_date(day, format="full", locale=self._locale)

    def short(self, day: date) -> str:
        """Mon 9 Nov."""
        return format_skeleton("MMMEd", day, locale=self._locale)

    def span(self, first: date, last: date, *, with_year: bool = False) -> str:
        """9–15 Nov, or 9–15 Nov 2026."""
        skeleton = "yMMMd" if with_year else "MMMd"
        span = format_interval(first, last, skeleton, locale=self._locale)
        return span.replace(f"{_THIN}–{_THIN}", "\u00a0– ")  # a line may end after the dash, not before it

    def both(self, first: date, second: date) -> str:
        """Mon 9 Nov and Wed 11 Nov."""
        return format_list([self.short(first), self.short(second)], locale=self._locale)

    @property
    def place(self) -> str:
        """The city whose clocks are meant."""
        return get_timezone_location(get_timezone(self.zone.key), locale=self._locale, return_city=True).rpartition(
            "/"
        )[2]

    @property
    def _locale(self) -> str:
        return locale_of(self.language)
