"""The rules on how long what is kept, as data."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentflow.domain.partners import CONFIRM_VALIDITY
from consentflow.domain.registrations import ACTIVE
from consentflow.domain.retention import RULES, Rule
from consentflow.domain.sign_in import LINK_VALIDITY
from consentflow.storage.retention import SWEEPS

RULE = {rule.name: rule for rule in RULES}
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

moments = st.timedeltas(timedelta(days=-9000), timedelta(days=27000)).map(NOW.__add__)


def test_every_rule_is_applied_and_nothing_is_swept_without_a_rule() -> None:
    assert len(RULE) == len(RULES)
    assert set(SWEEPS) | {"contacts"} == set(RULE)


def test_every_rule_says_what_why_and_where_that_follows_from() -> None:
    for rule in RULES:
        assert all((rule.what, rule.since, rule.because, rule.source, rule.period))


@pytest.mark.parametrize(
    ("name", "oldest_kept"),
    [
        ("mails", datetime(2026, 8, 24, 9, 0, tzinfo=UTC)),
        ("company_actions", datetime(2025, 11, 22, 9, 0, tzinfo=UTC)),
        ("events", datetime(2025, 10, 22, 9, 0, tzinfo=UTC)),
        ("links", datetime(2026, 10, 23, 9, 0, tzinfo=UTC)),
        ("sessions", NOW),
        ("answers", datetime(2023, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_time_is_counted_back_from_now(name: str, oldest_kept: datetime) -> None:
    assert RULE[name].cutoff(NOW) == oldest_kept


@pytest.mark.parametrize(
    ("closed", "goes"),
    [
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)),
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)),
        (datetime(2027, 1, 1, tzinfo=UTC), datetime(2031, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_limitation_period_begins_with_the_end_of_the_year(closed: datetime, goes: datetime) -> None:
    rule = RULE["requests"]
    assert rule.cutoff(goes) > closed
    assert rule.cutoff(goes - timedelta(microseconds=1)) <= closed


@given(moments, st.sampled_from(RULES), st.timedeltas(timedelta(), timedelta(days=4000)))
def test_what_has_gone_never_comes_back_as_time_passes(now: datetime, rule: Rule, later: timedelta) -> None:
    assert rule.cutoff(now) <= now
    assert rule.cutoff(now) <= rule.cutoff(now + later)


def test_nothing_goes_while_it_is_still_of_use() -> None:
    assert RULE["contacts"].after == ACTIVE
    assert NOW - RULE["unconfirmed_subscribers"].after <= NOW - CONFIRM_VALIDITY
    assert NOW - RULE["sign_ins"].after <= NOW - LINK_VALIDITY


def test_periods_are_told_in_words() -> None:
    told = {name: RULE[name].period for name in ("mails", "contacts", "events", "sessions", "requests", "sign_ins")}
    assert told == {
        "mails": "90 days",
        "contacts": "1 year",
        "events": "1 year 1 month",
        "sessions": "at once",
        "requests": "3 years from the end of the year",
        "sign_ins": "1 day",
    }
