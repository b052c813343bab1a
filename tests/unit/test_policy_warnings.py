"""What `policy check` warns of, each with the rule that says so."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from dateutil.relativedelta import relativedelta
from typer.testing import CliRunner

import consentflow.domain.policy
from consentflow.cli import app
from consentflow.domain.policy import Policy, read_policy
from consentflow.domain.policy_warnings import Concern, PolicyWarning, warnings_about

SHIPPED = Path(consentflow.domain.policy.__file__).parent / "policies"
DEFAULT = read_policy()
EEA_UK = read_policy(SHIPPED / "eea-uk.toml")


def changed(
    *,
    remove: str = "",
    double_opt_in: str = "",
    delayed_notice: str = "",
    unknown: str = "delayed_notice",
    notice: Mapping[str, Any] | None = None,
    validity_days: int = 30,
) -> Policy:
    """A policy without flaw, but for what is changed: countries are removed from both lists, then added to one."""
    gone = {*remove.split(), *double_opt_in.split(), *delayed_notice.split()}
    asked, told = EEA_UK.regions.double_opt_in, EEA_UK.regions.delayed_notice
    return Policy.model_validate(
        {
            "name": "tried-out",
            "regions": {
                "double_opt_in": [*sorted(set(asked) - gone), *double_opt_in.split()],
                "delayed_notice": [*sorted(set(told) - gone), *delayed_notice.split()],
                "unknown": unknown,
            },
            "notice": {"after_days": 30, "cap": "one_month", **(notice or {})},
            "double_opt_in": {"validity_days": validity_days},
        }
    )


def the_warning(policy: Policy) -> PolicyWarning:
    (warning,) = warnings_about(policy)
    return warning


def test_a_policy_can_be_without_any_warning() -> None:
    assert warnings_about(changed()) == []


def test_the_default_policy_is_warned_about_where_the_partner_rules_and_the_law_differ() -> None:
    assert [warning.concern for warning in warnings_about(DEFAULT)] == [
        Concern.NOTICE_AFTER_A_MONTH,
        Concern.EEA_NOT_COVERED,
        Concern.UK_NOT_COVERED,
    ]
    assert [warning.concern for warning in warnings_about(EEA_UK)] == [Concern.NOTICE_AFTER_A_MONTH]


def test_without_the_cap_the_dates_that_are_told_after_a_month_are_named_exactly() -> None:
    warning = the_warning(changed(notice={"cap": "none"}))
    assert "from 30 January to 28 February (from 31 January to 29 February in a leap year)" in warning.text
    assert warning.source == "GDPR Art. 14(3)(a)"


@pytest.mark.parametrize("year", [2027, 2028])
@pytest.mark.parametrize("after_days", [28, 29, 30])
def test_the_dates_named_are_those_whose_notice_comes_after_a_month(year: int, after_days: int) -> None:
    late = [
        day
        for number in range(366)
        for day in [datetime(year, 1, 1, tzinfo=UTC) + timedelta(days=number)]
        if day + timedelta(days=after_days) > day + relativedelta(months=1)
    ]
    warnings = warnings_about(changed(notice={"cap": "none", "after_days": after_days}))
    if not late:
        assert not warnings or "on no day in a leap year" in warnings[0].text
    else:
        assert f"from {late[0]:%-d %B} to {late[-1]:%-d %B}" in warnings[0].text


def test_a_notice_after_more_than_31_days_is_late_on_any_day() -> None:
    late, promised = warnings_about(changed(notice={"cap": "none", "after_days": 32}))
    assert "registered on any day are told later than a month after" in late.text
    assert promised.concern is Concern.NOTICE_AFTER_30_DAYS


def test_after_31_days_every_span_of_dates_is_named() -> None:
    late = warnings_about(changed(notice={"cap": "none", "after_days": 31}))[0]
    assert "from 29 January to 28 February, from 31 March to 30 April, from 31 May to 30 June" in late.text


def test_swiss_law_is_named_too_when_swiss_leads_are_told_late() -> None:
    late = warnings_about(changed(delayed_notice="CH", notice={"cap": "none"}))[0]
    assert late.source == "GDPR Art. 14(3)(a); Swiss FADP Art. 19(5)"


def test_a_policy_that_tells_nobody_is_not_warned_of_late_notices() -> None:
    everywhere = " ".join(EEA_UK.regions.delayed_notice)
    policy = changed(double_opt_in=everywhere, unknown="double_opt_in", notice={"cap": "none", "after_days": 60})
    assert Concern.NOTICE_AFTER_A_MONTH not in {warning.concern for warning in warnings_about(policy)}


@pytest.mark.parametrize(
    ("country", "concern", "rule"),
    [
        ("FR", Concern.EU_NOT_COVERED, "GDPR Art. 14(3)(a)"),
        ("DE", Concern.EU_NOT_COVERED, "GDPR Art. 14(3)(a)"),
        ("RE", Concern.EU_TERRITORY_NOT_COVERED, "TFEU Art. 355(1)"),
        ("AX", Concern.EU_TERRITORY_NOT_COVERED, "TFEU Art. 355(1) and (4)"),
        ("NO", Concern.EEA_NOT_COVERED, "154/2018"),
        ("GB", Concern.UK_NOT_COVERED, "UK GDPR"),
        ("CH", Concern.SWITZERLAND_NOT_COVERED, "Swiss FADP Art. 19(5)"),
    ],
)
def test_a_country_that_is_left_out_though_its_law_wants_people_told_is_named_with_the_law(
    country: str, concern: Concern, rule: str
) -> None:
    warning = the_warning(changed(remove=country))
    assert warning.concern is concern
    assert f"Leads in {country} are told nothing" in warning.text
    assert rule in warning.source


def test_countries_left_out_for_the_same_reason_share_a_warning() -> None:
    assert "Leads in ES, FR, SE are" in the_warning(changed(remove="SE FR ES")).text


def test_every_member_state_and_territory_is_known_to_be_covered_by_the_default_policy() -> None:
    uncovered = {Concern.EU_NOT_COVERED, Concern.EU_TERRITORY_NOT_COVERED, Concern.SWITZERLAND_NOT_COVERED}
    left_out = Policy.model_validate({"name": "none", "regions": {"double_opt_in": [], "delayed_notice": []}})
    text = " ".join(warning.text for warning in warnings_about(left_out) if warning.concern in uncovered)
    for country in (*DEFAULT.regions.double_opt_in, *DEFAULT.regions.delayed_notice):
        assert country in text


@pytest.mark.parametrize(("country", "rule"), [("DE", "UWG § 7(2)"), ("AT", "TKG 2021"), ("CH", "UWG Art. 3(1)(o)")])
def test_dach_leads_that_are_told_and_never_asked_are_warned_of(country: str, rule: str) -> None:
    warning = the_warning(changed(delayed_notice=country))
    assert warning.concern is Concern.TOLD_WITHOUT_BEING_ASKED
    assert rule in warning.source


@pytest.mark.parametrize(
    ("policy", "concern"),
    [
        (changed(notice={"after_days": 31}), Concern.NOTICE_AFTER_30_DAYS),  # also with the cap: it is promised
        (changed(validity_days=31), Concern.QUESTION_OPEN_LONG),
        (changed(double_opt_in="FR"), Concern.ASKED_OUTSIDE_DACH),
        (changed(unknown="double_opt_in"), Concern.UNKNOWN_LOCATION_ASKED),
        (changed(delayed_notice="GL"), Concern.CONTACTED_WITHOUT_NEED),
        (changed(double_opt_in="US"), Concern.CONTACTED_WITHOUT_NEED),
    ],
    ids=lambda value: value.value if isinstance(value, Concern) else "",
)
def test_what_goes_beyond_the_partner_rules_is_warned_of(policy: Policy, concern: Concern) -> None:
    assert the_warning(policy).concern is concern


# The command.


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CONSENTFLOW_POLICY_FILE", raising=False)
    monkeypatch.chdir(tmp_path)


def check(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["policy", "check", *words])
    return result.exit_code, result.output


def test_check_needs_no_settings_and_ends_with_0_and_every_warning_with_its_source() -> None:
    code, output = check()
    assert code == 0
    assert f"{DEFAULT.version} is valid." in output
    for warning in warnings_about(DEFAULT):
        assert f"warning: {warning.concern}\n  {warning.text}\n  {warning.source}\n" in output


def test_check_reads_the_policy_in_force_or_the_one_it_is_given(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"CONSENTFLOW_POLICY_FILE={SHIPPED / 'eea-uk.toml'}\n")
    assert EEA_UK.version in check()[1]
    assert DEFAULT.version in check(str(SHIPPED / "default.toml"))[1]
    monkeypatch.setenv("CONSENTFLOW_POLICY_FILE", str(tmp_path / "gone.toml"))
    assert check()[0] == 1


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "Field required (at /name)"),
        ("name = ", "policy file: Invalid value"),
        ('name = "x"\n[regions]\ndouble_opt_in = ["DE", "XX"]\ndelayed_notice = []', "alpha-2 code: XX (at /regions)"),
        ('name = "x"\n[regions]\ndouble_opt_in = ["DE"]\ndelayed_notice = ["DE"]', "listed more than once: DE"),
        ('name = "x"\n[regions]\ndouble_opt_in = []\ndelayed_notice = []\nunknown = "no_contact"', "/regions/unknown"),
    ],
)
def test_check_ends_with_1_and_says_what_is_wrong_with_an_invalid_file(
    tmp_path: Path, text: str, complaint: str
) -> None:
    (tmp_path / "wrong.toml").write_text(text)
    code, output = check("wrong.toml")
    assert code == 1
    assert complaint in output.replace("\n", " ")
    assert "Traceback" not in output
