"""How often somebody may do something, counted in memory, in windows that begin with the first time.

Each process counts for itself, so that counting costs no round trip; behind a load balancer the limit of all together
is that of one times their number.
"""

import math
from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from time import monotonic

from limits import RateLimitItem, parse_many
from limits.storage import Storage

SWEPT_EVERY = 60.0
"""Seconds between two looks for counts that are over."""

_NETWORK_OF_ONE = 64
"""Bits of an IPv6 address that one subscriber is given (RFC 6177); the rest is its own to choose."""


class Rate:
    """A limit for each of many, such as ten a minute and fifty an hour."""

    def __init__(self, rates: str, storage: Storage | None = None) -> None:
        self._rates = [(each, each.GRANULARITY.name) for each in read_rates(rates)]
        self._counts = storage or Counts()

    def wait_of(self, whom: str) -> int:
        """Counts once more, and says for how many seconds it is too much: 0 while it is not."""
        for rate, name in self._rates:
            key = f"{rate.multiples}{name}/{whom}"
            if self._counts.incr(key, rate.get_expiry()) > rate.amount:
                return max(1, math.ceil(self._counts.get_expiry(key) - monotonic()))
        return 0


def read_rates(rates: str) -> Sequence[RateLimitItem]:
    """What a setting says, the shortest window first, so that what it refuses does not count for the longer ones.

    Raises:
        ValueError: It cannot be read.
    """
    return sorted(parse_many(rates), key=lambda rate: rate.get_expiry()) if rates.strip() else []


def network_of(address: str) -> str:
    """The client behind an address: of an IPv6 address the part that a subscriber cannot choose."""
    try:
        read = ip_address(address)
    except ValueError:
        return address
    if not isinstance(read, IPv6Address):
        return address
    return str(read.ipv4_mapped or int(read) >> (128 - _NETWORK_OF_ONE))


class Counts(Storage):
    """Counts in memory, for one event loop. The library's own start a thread or a task every hundredth of a second."""

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, tuple[int, float]] = {}
        self._swept = monotonic()

    @property
    def base_exceptions(self) -> type[Exception]:
        """Nothing here fails."""
        return ValueError

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Counts, and says how many that makes in the window."""
        now = monotonic()
        count, until = self._counts.get(key, (0, 0.0))
        if until <= now:
            self._sweep(now)
            count, until = 0, now + expiry
        self._counts[key] = (count + amount, until)
        return count + amount

    def get(self, key: str) -> int:
        """How many there were in the window."""
        count, until = self._counts.get(key, (0, 0.0))
        return count if until > monotonic() else 0

    def get_expiry(self, key: str) -> float:
        """When the window ends, by the monotonic clock."""
        return self._counts.get(key, (0, monotonic()))[1]

    def check(self) -> bool:
        """It is there."""
        return True

    def reset(self) -> int:
        """Forgets every count, and says how many there were."""
        size = len(self._counts)
        self._counts.clear()
        return size

    def clear(self, key: str) -> None:
        """Forgets one count."""
        self._counts.pop(key, None)

    def _sweep(self, now: float) -> None:
        if now - self._swept >= SWEPT_EVERY:
            self._swept = now
            self._counts = {key: kept for key, kept in self._counts.items() if kept[1] > now}
