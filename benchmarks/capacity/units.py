"""What each step of a registration costs, made of the journeys that were counted whole."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

from benchmarks.costs.unit_costs import UnitCosts
from consentflow.domain.retention import RULES

YEAR_DAYS = 365

STEPS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    **{step: ((step,), ()) for step in ("no_contact", "already_informed", "already_confirmed", "waiting", "asked")},
    **{
        step: ((step,), ("waiting",))
        for step in (
            "satisfied",
            "notified",
            "withdrawn_while_waiting",
            "objected_while_waiting",
            "corrected_to_no_contact",
        )
    },
    **{
        step: ((step,), ("asked",)) for step in ("confirmed", "lapsed", "withdrawn_while_asked", "objected_while_asked")
    },
    "corrected_to_double_opt_in": (("corrected_to_double_opt_in", "asked"), ("waiting", "confirmed")),
}
"""What each step of `benchmarks.capacity.demand` adds, in journeys that were counted whole: these less those."""

RULE_OF = {
    "contacts": "contacts",
    "registrations": "registration_texts",
    "mails": "mails",
    "events": "events",
    "company_actions": "company_actions",
    "told": "told",
    "subscribers": "unconfirmed_subscribers",
}
"""Which rule of retention lets go of what is not kept for good, by table."""

Keeps: TypeAlias = dict[timedelta | None, float]
"""Bytes by how long they are kept; None is for good."""


@dataclass(frozen=True)
class Unit:
    """What one step costs."""

    starts: float = 0
    actions: float = 0
    transitions: float = 0
    history_bytes: float = 0
    mails: float = 0
    mail_bytes: float = 0
    keeps: Keeps = field(default_factory=dict)


def units(costs: UnitCosts) -> Mapping[str, Unit]:
    """By step."""
    return {step: _unit(costs, plus, minus) for step, (plus, minus) in STEPS.items()}


def _unit(costs: UnitCosts, plus: Sequence[str], minus: Sequence[str]) -> Unit:
    signed = [(costs.journey(name), 1) for name in plus] + [(costs.journey(name), -1) for name in minus]
    keeps: Keeps = defaultdict(float)
    for journey, sign in signed:
        for table, rows in journey.rows.items():
            if weighed := costs.tables.get(table):
                gone = max(weighed.row_bytes - weighed.kept_bytes, 0)  # the ledger grows by what is let go elsewhere
                keeps[None] += sign * rows * weighed.kept_bytes
                keeps[kept_for(table)] += sign * rows * gone
    return Unit(
        starts=sum(sign for _, sign in signed),
        actions=sum(sign * journey.actions for journey, sign in signed),
        transitions=sum(sign * journey.transitions for journey, sign in signed),
        history_bytes=sum(sign * journey.history_bytes for journey, sign in signed),
        mails=sum(sign * len(journey.mails) for journey, sign in signed),
        mail_bytes=sum(sign * sum(journey.mails) for journey, sign in signed),
        keeps=dict(keeps),
    )


def kept_for(table: str) -> timedelta | None:
    """How long what a table does not keep for good is kept, by the rules of retention.

    Links are kept thirty days past their expiry; those that go within fifteen months are the questions'.
    """
    rules = {rule.name: rule.after for rule in RULES}
    if table == "tokens":
        return timedelta(days=30 + rules["links"].days)
    if table not in RULE_OF:
        return None
    after = rules[RULE_OF[table]]
    return timedelta(days=after.years * YEAR_DAYS + after.months * YEAR_DAYS / 12 + after.days)
