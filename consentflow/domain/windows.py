"""When what was collected for a subscriber is told: soon, or at an hour of its day.

A wall clock may skip an hour or show it twice. What is to happen at an hour that is skipped happens when the clock
goes on; at one that is shown twice, the first time only. So a day or week has one window, whatever its clocks do.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from consentflow.domain.notifications import Delivery

IMMEDIATE_WINDOW = timedelta(minutes=15)
"""How long an immediate notification waits at most for more of the same, unless the settings say otherwise."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_FAR_ENOUGH = 10
"""Days ahead in which every weekday comes up, even where a time zone has left one out."""


def window_end(
    delivery: Delivery,
    hour: int,
    weekday: int,
    time_zone: str,
    now: datetime,
    *,
    immediate: timedelta = IMMEDIATE_WINDOW,
) -> datetime:
    """When the window ends that is open at `now`, strictly after it, UTC.

    Args:
        hour: On the wall clock, 0 to 23; for a daily and a weekly delivery.
        weekday: 0 is Monday; for a weekly delivery.
        time_zone: IANA name of the zone whose wall clock counts.
        immediate: How long the window of an immediate delivery is at most. It ends on the last full third of it, at
            five past or ten past and so on for fifteen minutes: else the mail's own date would tell the second of
            what it is about.
    """
    if delivery is Delivery.IMMEDIATE:
        latest = now.astimezone(UTC) + immediate
        return latest - (latest - _EPOCH) % (immediate / 3)
    zone = ZoneInfo(time_zone)
    days = (day for day in _days_around(now) if delivery is Delivery.DAILY or day.weekday() == weekday)
    return next(end for day in days if (end := _first_at_or_after(datetime.combine(day, time(hour)), zone)) > now)


def _days_around(now: datetime) -> Iterator[date]:
    """From the day before the earliest that any zone may have at `now`."""
    today = now.astimezone(UTC).date()
    return (today + timedelta(days=ahead) for ahead in range(-2, _FAR_ENOUGH))


def _first_at_or_after(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant, UTC, at which the zone's wall clock shows that time or, if it skips it, a later one."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if _shown(first, zone) == wall:
        return first
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), first  # on either side of the gap
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if _shown(middle, zone) < wall:
            before = middle
        else:
            after = middle
    return after


def _shown(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)
