"""Which lead gets which mail, and when: a policy file as data, and one pure function.

Nothing else in the code knows a country. Same input, same answer, forever: every decision names the policy version
it was made under.
"""

import hashlib
import tomllib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, Self

from dateutil.relativedelta import relativedelta
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from consentflow.domain.consent import Fact, Question, Record
from consentflow.domain.errors import InvalidInput
from consentflow.domain.locations import countries
from consentflow.domain.registrations import State


class Regime(StrEnum):
    """How a location is treated."""

    DOUBLE_OPT_IN = "double_opt_in"
    DELAYED_NOTICE = "delayed_notice"
    NO_CONTACT = "no_contact"


class Reason(StrEnum):
    """Why a decision is what it is."""

    DOUBLE_OPT_IN_REGION = "double_opt_in_region"
    DELAYED_NOTICE_REGION = "delayed_notice_region"
    UNKNOWN_LOCATION = "unknown_location"
    NO_CONTACT_REGION = "no_contact_region"
    ALREADY_CONFIRMED = "already_confirmed"
    ALREADY_INFORMED = "already_informed"
    ALREADY_ASKED = "already_asked"
    OBJECTED = "objected"
    COMPLAINED = "complained"
    ERASED = "erased"
    HARD_BOUNCED = "hard_bounced"


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _in_one_order(codes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(codes))  # the order they are written in is no rule, so it makes no version


class Regions(_Strict):
    """Countries by regime; every known country that is not listed is ``no_contact``.

    ``unknown`` cannot be ``no_contact``: whoever might live in the EU is told.
    """

    double_opt_in: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_in_one_order)]
    delayed_notice: Annotated[tuple[str, ...], Field(strict=False), AfterValidator(_in_one_order)]
    unknown: Literal["delayed_notice", "double_opt_in"] = "delayed_notice"

    @model_validator(mode="after")
    def _each_country_once(self) -> Self:
        listed = [*self.double_opt_in, *self.delayed_notice]
        if strangers := sorted(set(listed) - countries()):
            raise ValueError(f"not an ISO 3166-1 alpha-2 code: {', '.join(strangers)}")
        if twice := sorted({code for code in listed if listed.count(code) > 1}):
            raise ValueError(f"listed more than once: {', '.join(twice)}")
        return self


class NoticeRules(_Strict):
    """When the notice is due. ``cap = "one_month"`` keeps it within GDPR Art. 14(3)(a) in February too."""

    after_days: int = Field(default=30, ge=0, le=365)
    cap: Literal["none", "one_month"] = "none"


class DoubleOptInRules(_Strict):
    """How long the question stays open. Silence then erases the contact, as the mail promises."""

    validity_days: int = Field(default=30, ge=1, le=365)


class Policy(_Strict):
    """A policy file, validated. Build it with `read_policy` so that it carries the digest of its text."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    regions: Regions
    notice: NoticeRules = NoticeRules()
    double_opt_in: DoubleOptInRules = DoubleOptInRules()

    @cached_property
    def version(self) -> str:
        """Name and content: ``name@`` and the first 12 hex digits of the SHA-256 of the rules."""
        return f"{self.name}@{hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]}"

    @cached_property
    def _regimes(self) -> dict[str, Regime]:
        return dict.fromkeys(self.regions.double_opt_in, Regime.DOUBLE_OPT_IN) | dict.fromkeys(
            self.regions.delayed_notice, Regime.DELAYED_NOTICE
        )

    def regime_of(self, country: str | None) -> Regime:
        """The regime of a country (ISO 3166-1 alpha-2); None is an unknown location."""
        if country is None:
            return Regime(self.regions.unknown)
        return self._regimes.get(country, Regime.NO_CONTACT)

    def notice_due(self, registered_at: datetime) -> datetime:
        """When the notice is due: to the second, UTC (GDPR Art. 14(3)(a))."""
        due = registered_at + timedelta(days=self.notice.after_days)
        if self.notice.cap == "one_month":
            due = min(due, registered_at + relativedelta(months=1))
        return due

    def answer_until(self, asked_at: datetime) -> datetime:
        """Until when a question put at that instant stays open."""
        return asked_at + timedelta(days=self.double_opt_in.validity_days)


def read_policy(file: Path | None = None) -> Policy:
    """Reads a policy file, by default the one shipped with the package.

    Raises:
        InvalidInput: The file cannot be read or breaks a rule; the reason says which.
    """
    source = file if file is not None else files("consentflow.domain") / "policies" / "default.toml"
    try:
        return Policy.model_validate(tomllib.loads(source.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput("", "unreadable_policy", f"policy file: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        pointer = "".join(f"/{part}" for part in first["loc"])
        raise InvalidInput(pointer, "invalid_policy", f"policy file: {first['msg']}") from error


@dataclass(frozen=True, slots=True)
class Lead:
    """What of a registration the decision depends on. Nothing in it tells the partner.

    Args:
        country: ISO 3166-1 alpha-2, or None for unknown.
        registered_at: UTC.
        asked: The double opt-in mail that this registration asks or has joined has left and awaits its answer.
    """

    country: str | None
    registered_at: datetime
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to "why did (not) this mail go out".

    Args:
        state: Where the registration goes at once.
        due_at: When its next mail is due, UTC; None if no mail is.
        joins: The registration joins a question another one has put, and shares its outcome.
    """

    regime: Regime
    reason: Reason
    state: State
    policy_version: str
    due_at: datetime | None = None
    joins: bool = False


def decide(policy: Policy, lead: Lead, record: Record, now: datetime) -> Decision:
    """Decides what a registration leads to, from the record as it is at `now`.

    A question that has left stands: a later correction of the location takes nothing back that the lead was told,
    so an asked registration only changes by the lead's answer, its objection, or silence.
    """
    regime = Regime.DOUBLE_OPT_IN if lead.asked else policy.regime_of(lead.country)

    def answer(state: State, reason: Reason, due_at: datetime | None = None, *, joins: bool = False) -> Decision:
        return Decision(regime, reason, state, policy.version, due_at, joins)

    if fact := record.suppressed_by:
        return answer(State.SUPPRESSED, _SUPPRESSED_BECAUSE[fact])
    if regime is Regime.DOUBLE_OPT_IN:
        if record.consented:
            return answer(State.CONFIRMED, Reason.ALREADY_CONFIRMED)
        if lead.asked or record.question is Question.OPEN:
            return answer(State.AWAITING_CONFIRMATION, Reason.ALREADY_ASKED, joins=True)
        if Fact.NOTICE_SENT in record.facts:
            return answer(State.NOTIFIED, Reason.ALREADY_ASKED)
        if record.question is Question.PENDING:
            return answer(State.ACCEPTED, Reason.ALREADY_ASKED, joins=True)
        return answer(State.ACCEPTED, _region(lead, Reason.DOUBLE_OPT_IN_REGION), now)
    if regime is Regime.DELAYED_NOTICE:
        if record.consented or record.informed:
            return answer(State.SATISFIED, Reason.ALREADY_INFORMED)
        due_at = policy.notice_due(lead.registered_at)
        return answer(State.WAITING, _region(lead, Reason.DELAYED_NOTICE_REGION), due_at)
    return answer(State.NO_CONTACT, Reason.NO_CONTACT_REGION)


_SUPPRESSED_BECAUSE = {
    Fact.OBJECTED: Reason.OBJECTED,
    Fact.COMPLAINED: Reason.COMPLAINED,
    Fact.ERASED: Reason.ERASED,
    Fact.HARD_BOUNCED: Reason.HARD_BOUNCED,
}


def _region(lead: Lead, known: Reason) -> Reason:
    return known if lead.country is not None else Reason.UNKNOWN_LOCATION
