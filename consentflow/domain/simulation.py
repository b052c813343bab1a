"""Replaying decisions under another policy: who would be treated differently.

Compared is the decision that a registration's location led to: the one at its acceptance, or at the last correction of
its location since. It is replayed at that very instant, on what was on record then. What came later (a mail of ours, an
answer to it, an objection) is left out: it followed from how the lead was treated and would have come otherwise, or not
at all. So the policy that decided finds no difference to itself.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from consentflow.domain.addresses import Subject
from consentflow.domain.consent import Record
from consentflow.domain.policy import Lead, Policy, Reason, Regime, decide
from consentflow.domain.registrations import State

_SUPPRESSED = frozenset({Reason.OBJECTED, Reason.COMPLAINED, Reason.ERASED, Reason.HARD_BOUNCED})


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a decision means for a lead.

    Args:
        notice_due: When the notice is due, UTC; None when there is to be none.
    """

    regime: Regime
    reason: Reason
    notice_due: datetime | None

    def means_the_same_as(self, other: "Treatment") -> bool:
        """Whether the lead would notice no difference: nothing is sent to a suppressed one under any regime."""
        return self == other or (self.reason is other.reason and self.reason in _SUPPRESSED)


@dataclass(frozen=True, slots=True)
class TakenDecision:
    """A decision as it was taken, with all that it was taken on.

    Args:
        at: When its location was set for the last time, UTC.
        asked: The question that the registration shared had left by then.
        record: Everything on record about the subject by then, without the registration's own question.
    """

    registration_id: str
    subject: Subject
    country: str | None
    registered_at: datetime
    at: datetime
    asked: bool
    record: Record
    policy_version: str
    treatment: Treatment


@dataclass(frozen=True, slots=True)
class Difference:
    """A registration that would be treated differently."""

    taken: TakenDecision
    treatment: Treatment

    @property
    def change(self) -> "Change":
        """What of it many registrations have in common."""
        was, would_be = self.taken.treatment.notice_due, self.treatment.notice_due
        moved = None if was is None or would_be is None else ("earlier" if would_be < was else "later")
        return Change(
            (self.taken.treatment.regime, self.taken.treatment.reason),
            (self.treatment.regime, self.treatment.reason),
            None if was == would_be else moved,
        )


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """A kind of difference: regime and reason as they were and as they would be.

    Args:
        notice: ``earlier`` or ``later`` where there is a notice in both cases, and its time moves.
    """

    was: tuple[Regime, Reason]
    would_be: tuple[Regime, Reason]
    notice: str | None = None


@dataclass(slots=True)
class Summary:
    """How many would be treated differently, by kind, of how many that were looked at."""

    looked_at: int = 0
    changes: Counter[Change] = field(default_factory=Counter)

    @property
    def different(self) -> int:
        """How many would be treated differently."""
        return self.changes.total()


def replay(policy: Policy, taken: TakenDecision) -> Difference | None:
    """What a policy would have decided; None where it means the same for the lead."""
    decision = decide(policy, Lead(taken.country, taken.registered_at, taken.asked), taken.record, taken.at)
    # As when it was taken: why a registration asks, or waits, outlives the asking.
    stays = decision.regime is taken.treatment.regime and decision.reason is Reason.ALREADY_ASKED
    treatment = Treatment(
        decision.regime,
        taken.treatment.reason if stays else decision.reason,
        decision.due_at if decision.state is State.WAITING else None,
    )
    return None if treatment.means_the_same_as(taken.treatment) else Difference(taken, treatment)
