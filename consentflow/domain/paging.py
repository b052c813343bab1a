"""Lists that go on: a page of entries, and the mark after which the next page begins."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Self, TypeVar

from consentflow.domain.errors import InvalidInput

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mark:
    """The entry after which a list goes on: when it was made, UTC, and its key. Never a place that shifts.

    Args:
        key: An id; no personal data, since marks stand in URLs.
    """

    at: datetime
    key: str

    def __str__(self) -> str:
        text = f"{self.at.astimezone(UTC).isoformat()} {self.key}"
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> Self:
        """The mark from its text in a URL.

        Raises:
            InvalidInput: It is none of ours.
        """
        try:
            at, _, key = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition(" ")
            if key:
                return cls(datetime.fromisoformat(at).astimezone(UTC), key)
        except (binascii.Error, ValueError, OverflowError):
            pass
        raise InvalidInput("/after", "invalid_mark", "is not a mark of this list")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some entries of a list.

    Args:
        after: What to ask the next page with; None on the last.
    """

    entries: Sequence[T]
    after: Mark | None = None
