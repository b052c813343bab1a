"""What is lawful to write into a policy file and still worth a second look, each with the rule that says so.

A warning is no refusal: the operator may know better. The default policy has some, since it follows the partner rules
to the letter.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from dateutil.relativedelta import relativedelta

from consentflow.domain.policy import Policy, Regime

PARTNER_RULES_DAYS = 30
"""What the partner rules give: until the notice, and for an answer."""


class Concern(StrEnum):
    """What a warning is about."""

    NOTICE_AFTER_A_MONTH = "notice_after_a_month"
    NOTICE_AFTER_30_DAYS = "notice_after_30_days"
    QUESTION_OPEN_LONG = "question_open_long"
    EU_NOT_COVERED = "eu_not_covered"
    EU_TERRITORY_NOT_COVERED = "eu_territory_not_covered"
    EEA_NOT_COVERED = "eea_not_covered"
    UK_NOT_COVERED = "uk_not_covered"
    SWITZERLAND_NOT_COVERED = "switzerland_not_covered"
    TOLD_WITHOUT_BEING_ASKED = "told_without_being_asked"
    ASKED_OUTSIDE_DACH = "asked_outside_dach"
    UNKNOWN_LOCATION_ASKED = "unknown_location_asked"
    CONTACTED_WITHOUT_NEED = "contacted_without_need"


@dataclass(frozen=True, slots=True)
class PolicyWarning:
    """Something worth a second look.

    Args:
        text: In plain words, for whoever answers for the policy.
        source: Where the rule is written.
    """

    concern: Concern
    text: str
    source: str


@dataclass(frozen=True, slots=True)
class _Reach:
    """Countries in which whoever holds a person's data must tell the person."""

    concern: Concern
    countries: frozenset[str]
    law: str
    source: str


_TELL_IN_A_MONTH = "GDPR Art. 14(3)(a)"
_TELL_IN_A_MONTH_CH = "Swiss FADP Art. 19(5)"

_REACHES = (
    _Reach(
        Concern.EU_NOT_COVERED,
        frozenset("AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()),  # noqa: SIM905 (a table)
        "the GDPR applies there",
        _TELL_IN_A_MONTH,
    ),
    _Reach(
        Concern.EU_TERRITORY_NOT_COVERED,
        frozenset("AX GF GP MF MQ RE YT".split()),  # noqa: SIM905 (a table)
        "these have country codes of their own and belong to the EU, where the GDPR applies",
        f"TFEU Art. 355(1) and (4); {_TELL_IN_A_MONTH}",
    ),
    _Reach(
        Concern.EEA_NOT_COVERED,
        frozenset({"IS", "LI", "NO"}),
        "the GDPR is part of the EEA Agreement",
        f"EEA Joint Committee Decision No 154/2018; {_TELL_IN_A_MONTH}",
    ),
    _Reach(Concern.UK_NOT_COVERED, frozenset({"GB"}), "the UK GDPR applies there", "UK GDPR Art. 14(3)(a)"),
    _Reach(
        Concern.SWITZERLAND_NOT_COVERED,
        frozenset({"CH"}),
        "Swiss law, too, has people told within a month",
        _TELL_IN_A_MONTH_CH,
    ),
)
_REACHED = frozenset().union(*(reach.countries for reach in _REACHES))

_CONSENT_FIRST = {
    "DE": "German UWG § 7(2) no. 2; BGH, 10 February 2011, I ZR 164/09",
    "AT": "Austrian TKG 2021 § 174(3)",
    "CH": "Swiss UWG Art. 3(1)(o)",
}
"""Where advertising by mail needs consent given before, and the partner rules ask for it by double opt-in."""

_PARTNER_RULES = "Partner rules: {}"


def warnings_about(policy: Policy) -> list[PolicyWarning]:
    """What is worth a second look, the law first, the partner rules last."""
    return [*_late_notices(policy), *_not_covered(policy), *_not_asked(policy), *_beyond_the_rules(policy)]


def _late_notices(policy: Policy) -> Iterator[PolicyWarning]:
    if not policy.regions.delayed_notice and policy.regime_of(None) is not Regime.DELAYED_NOTICE:
        return
    if dates := _dates_told_late(policy):
        sources = [_TELL_IN_A_MONTH]
        if policy.regime_of("CH") is Regime.DELAYED_NOTICE:
            sources.append(_TELL_IN_A_MONTH_CH)
        yield PolicyWarning(
            Concern.NOTICE_AFTER_A_MONTH,
            f"Leads registered {dates} are told later than a month after. "
            'notice.cap = "one_month" brings the notice forward for them.',
            "; ".join(sources),
        )


def _not_covered(policy: Policy) -> Iterator[PolicyWarning]:
    for reach in _REACHES:
        if left_out := [code for code in reach.countries if policy.regime_of(code) is Regime.NO_CONTACT]:
            yield PolicyWarning(
                reach.concern, f"Leads in {_listed(left_out)} are told nothing, but {reach.law}.", reach.source
            )


def _not_asked(policy: Policy) -> Iterator[PolicyWarning]:
    if policy.double_opt_in.validity_days > PARTNER_RULES_DAYS:
        yield PolicyWarning(
            Concern.QUESTION_OPEN_LONG,
            f"Data of leads who do not answer is kept for {policy.double_opt_in.validity_days} days.",
            "GDPR Art. 5(1)(e); Swiss FADP Art. 6(4)",
        )
    for country, source in _CONSENT_FIRST.items():
        if policy.regime_of(country) is Regime.DELAYED_NOTICE:
            yield PolicyWarning(
                Concern.TOLD_WITHOUT_BEING_ASKED,
                f"Leads in {country} are told and never asked: mail that advertises needs their consent before.",
                source,
            )


def _beyond_the_rules(policy: Policy) -> Iterator[PolicyWarning]:
    if policy.notice.after_days > PARTNER_RULES_DAYS:
        yield PolicyWarning(
            Concern.NOTICE_AFTER_30_DAYS,
            f"notice.after_days is {policy.notice.after_days}: later than partners and leads are promised.",
            _PARTNER_RULES.format("in the EU and at unknown locations, mail after 30 days"),
        )
    asked = set(policy.regions.double_opt_in)
    if outside := (asked & _REACHED) - set(_CONSENT_FIRST):
        yield PolicyWarning(
            Concern.ASKED_OUTSIDE_DACH,
            f"Leads in {_listed(outside)} are asked at once, and their silence erases them.",
            _PARTNER_RULES.format("double opt-in in Germany, Austria and Switzerland"),
        )
    if policy.regime_of(None) is Regime.DOUBLE_OPT_IN:
        yield PolicyWarning(
            Concern.UNKNOWN_LOCATION_ASKED,
            "Leads whose location nobody knows are asked at once, and their silence erases them.",
            _PARTNER_RULES.format("in the EU and at unknown locations, mail after 30 days"),
        )
    if needless := (asked | set(policy.regions.delayed_notice)) - _REACHED:
        yield PolicyWarning(
            Concern.CONTACTED_WITHOUT_NEED,
            f"Leads in {_listed(needless)} get mail, though they live outside the EU, the EEA, the UK and Switzerland.",
            _PARTNER_RULES.format("known leads outside the EU are not contacted because of the registration"),
        )


def _listed(countries: Iterable[str]) -> str:
    return ", ".join(sorted(countries))


_COMMON_YEAR, _LEAP_YEAR = 2027, 2028


def _dates_told_late(policy: Policy) -> str | None:
    """The dates of registration for which the notice is due later than a month after, in words; None for none."""
    common, leap = _told_late_in(policy, _COMMON_YEAR), _told_late_in(policy, _LEAP_YEAR)
    return common if common == leap else f"{common or 'on no day'} ({leap or 'on no day'} in a leap year)"


def _told_late_in(policy: Policy, year: int) -> str | None:
    beginning, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    days = [beginning + timedelta(days=number) for number in range((end - beginning).days)]
    spans: list[list[datetime]] = []
    for day in days:
        if policy.notice_due(day) > day + relativedelta(months=1):
            if not spans or spans[-1][-1] != day - timedelta(days=1):
                spans.append([])
            spans[-1].append(day)
    if spans == [days]:
        return "on any day"
    return ", ".join(f"from {_date(span[0])} to {_date(span[-1])}" for span in spans) or None


def _date(day: datetime) -> str:
    return f"{day.day} {day:%B}"
