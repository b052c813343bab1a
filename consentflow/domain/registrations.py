"""Registrations: their states, what may still change, and the course a workflow follows."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from dateutil.relativedelta import relativedelta

from consentflow.domain.addresses import Subject

OWNERSHIP = relativedelta(months=6)
"""A registration makes its partner owner of the company for six calendar months, counted from acceptance."""

ACTIVE = relativedelta(years=1)
"""A registration expires one calendar year after it was made; then the contact may be registered again."""


class Kind(StrEnum):
    """What a partner registers. The consent rules are the same for both."""

    LEAD = "lead"
    DEAL = "deal"


class State(StrEnum):
    """Where a registration stands."""

    ACCEPTED = "accepted"
    AWAITING_CONFIRMATION = "awaiting_confirmation"
    CONFIRMED = "confirmed"
    LAPSED = "lapsed"
    WAITING = "waiting"
    SATISFIED = "satisfied"
    NOTIFIED = "notified"
    NO_CONTACT = "no_contact"
    SUPPRESSED = "suppressed"
    WITHDRAWN = "withdrawn"
    UNDELIVERABLE = "undeliverable"


OPEN = frozenset({State.ACCEPTED, State.AWAITING_CONFIRMATION, State.WAITING})
"""A mail or an answer is still to come: whatever happens to the subject is weighed again."""

CHANGEABLE = OPEN | {State.NO_CONTACT, State.SATISFIED}
"""The registering side may still correct or withdraw it: the lead was told nothing final because of it."""

HOLDS_NO_CONTACT = frozenset({State.LAPSED, State.WITHDRAWN, State.SUPPRESSED})
"""These have no use for the contact's personal data."""


class Status(StrEnum):
    """Whether the registration still counts for the partner programme."""

    ACTIVE = "active"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Registration:
    """One contact registered by one partner, as stored. Holds no personal data: the contact is a subject.

    Args:
        registration_id: The caller's own id.
        registered_by: The registering person's pseudonym, if named.
        company_domain: Registrable domain, A-labels, or None when the company cannot be owned.
        company_refusal: Why it cannot be owned.
        country: ISO 3166-1 alpha-2, or None for unknown; ``country_received`` is what was sent.
        due_at: When the next mail is or was due.
        revision: Grows with every change of course; an older one never overrules a newer one.
        question_id: The question this registration asks or has joined.
        fingerprint: Keyed hash of the accepted request, to tell a repeat from a conflict.
        deal_reference: How partner and vendor call a deal in their own systems.
        growth_specialist: Pseudonym of the vendor's person who works a deal with the partner.
    """

    registration_id: str
    kind: Kind
    partner_id: str
    registered_by: Subject | None
    subject: Subject
    company_name: str | None
    company_domain: str | None
    company_refusal: str | None
    country: str | None
    country_received: str | None
    regime: str
    reason: str
    state: State
    registered_at: datetime
    accepted_at: datetime
    due_at: datetime | None
    policy_version: str
    revision: int
    question_id: UUID | None
    fingerprint: bytes
    deal_reference: str | None = None
    growth_specialist: Subject | None = None

    def status_at(self, now: datetime) -> Status:
        """Active for one calendar year from registration, then expired."""
        return Status.ACTIVE if now < self.registered_at + ACTIVE else Status.EXPIRED


class Step(StrEnum):
    """What a registration's workflow does next."""

    SEND_DOUBLE_OPT_IN = "send_double_opt_in"
    SEND_NOTICE = "send_notice"
    LAPSE = "lapse"
    END = "end"


@dataclass(frozen=True, slots=True)
class Course:
    """All a workflow is told: the next step, and when. No personal data, so histories need no erasing.

    Args:
        revision: Of the registration the course was set for.
        step: What to do next.
        at: When, UTC; None means at once.
    """

    revision: int
    step: Step
    at: datetime | None = None


def course_of(registration: Registration, answer_until: datetime | None = None) -> Course:
    """The course that fits where the registration stands.

    Args:
        registration: As stored.
        answer_until: When the question it awaits closes, UTC; needed while it awaits an answer.
    """
    match registration.state:
        case State.ACCEPTED:
            return Course(registration.revision, Step.SEND_DOUBLE_OPT_IN, registration.due_at)
        case State.WAITING:
            return Course(registration.revision, Step.SEND_NOTICE, registration.due_at)
        case State.AWAITING_CONFIRMATION:
            return Course(registration.revision, Step.LAPSE, answer_until)
        case _:
            return Course(registration.revision, Step.END)
