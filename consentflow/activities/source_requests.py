"""What a data-source request's workflow has done for it."""

from dataclasses import dataclass
from datetime import datetime

from temporalio import activity

from consentflow.activities.conversation import in_temporals_words
from consentflow.operations.source_clock import SourceClock


@dataclass(frozen=True, slots=True)
class Wake:
    """Why a request is looked at. Only ever add to it.

    Args:
        waited_for: The instant that was waited for, UTC; None when somebody changed something.
    """

    request_id: str
    waited_for: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rest:
    """How long a request may rest. Only ever add to it.

    Args:
        until: UTC; None when it has come to its end, or waits for people alone, who wake it by a signal.
    """

    until: datetime | None


class SourceRequestActivities:
    """Goes on with requests. May be run again without harm."""

    def __init__(self, clock: SourceClock) -> None:
        self._clock = clock

    @activity.defn(name="source_request.advance")
    async def advance(self, wake: Wake) -> Rest:
        """Does what is due now; answers with when something is due next."""
        return await in_temporals_words(self._advance(wake))

    async def _advance(self, wake: Wake) -> Rest:
        return Rest(await self._clock.advance(wake.request_id, wake.waited_for))
