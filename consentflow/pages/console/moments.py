"""Instants and days on the console's pages: in the officer's language, by the controller's clocks."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from markupsafe import Markup

from consentflow.domain.letters import Language
from consentflow.mail.times import locale_of


@dataclass(frozen=True, slots=True)
class Moments:
    """Writes instants and days as elements that programs can read, too."""

    language: Language
    zone: ZoneInfo

    def instant(self, at: datetime) -> Markup:
        """24 Nov 2026, 09:00."""
        local = at.astimezone(self.zone)
        return _time(at, f"{self._date(local)}, {format_time(local, 'short', locale=locale_of(self.language))}")

    def day(self, at: datetime) -> Markup:
        """24 Nov 2026."""
        return _time(at, self._date(at.astimezone(self.zone)))

    def on(self, day: date) -> Markup:
        """24 Nov 2026, of a day that is one already."""
        return Markup('<time datetime="{}">{}</time>').format(day.isoformat(), self._date(day))

    def weekday(self, at: datetime) -> Markup:
        """Tuesday, 24 November 2026."""
        local = at.astimezone(self.zone)
        return _time(at, format_date(local, "full", locale=locale_of(self.language)))

    def _date(self, day: date) -> str:
        return format_date(day, "medium", locale=locale_of(self.language))


def _time(at: datetime, shown: str) -> Markup:
    return Markup('<time datetime="{}">{}</time>').format(f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", shown)
