"""Which lead gets what, and when: the policy's whole table, its properties, and its traps."""

import dataclasses
import inspect
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentflow.domain.consent import Fact, Question, Record
from consentflow.domain.errors import InvalidInput
from consentflow.domain.locations import countries, read_location
from consentflow.domain.policy import Decision, Lead, Policy, Reason, Regime, decide, read_policy
from consentflow.domain.registrations import State

# The regions and the table are written out here once more, on purpose: a slip in the shipped file shows.
DACH = frozenset({"DE", "AT", "CH"})
EU_WITHOUT_DACH = frozenset(
    """
    BE BG HR CY CZ DK EE FI FR GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE
    AX GF GP MF MQ RE YT
    """.split()  # noqa: SIM905 (a table)
)
LOOK_ALIKES = frozenset("GL FO NC PF TF WF PM BL AW BQ CW SX GG JE IM GI AD MC SM VA XK".split())  # noqa: SIM905
EEA_AND_UK = frozenset({"IS", "LI", "NO", "GB"})
CONSENT = (Fact.CONFIRMED, Fact.OPTED_IN, Fact.EMAIL_VERIFIED)
INFORMED = (Fact.FORM_SUBMITTED, Fact.CONTENT_DOWNLOADED, Fact.PRIVACY_POLICY_READ)
SUPPRESSION = (Fact.OBJECTED, Fact.COMPLAINED, Fact.ERASED, Fact.HARD_BOUNCED)

DEFAULT = read_policy()
SHIPPED = Path(inspect.getfile(Policy)).parent / "policies"
EEA_UK = read_policy(SHIPPED / "eea-uk.toml")

REGISTERED = datetime(2026, 11, 20, 17, 45, 31, tzinfo=UTC)
NOW = datetime(2026, 11, 22, 9, 0, 7, tzinfo=UTC)
IN_30_DAYS = datetime(2026, 12, 20, 17, 45, 31, tzinfo=UTC)


class Answer(NamedTuple):
    """What one cell of the table says; the reason of a region is filled in by the location."""

    state: State
    reason: Reason | None = None
    due_at: datetime | None = None
    joins: bool = False


ASK_NOW = Answer(State.ACCEPTED, due_at=NOW)
TELL_IN_30_DAYS = Answer(State.WAITING, due_at=IN_30_DAYS)
LEAVE_ALONE = Answer(State.NO_CONTACT, Reason.NO_CONTACT_REGION)
CONFIRMED = Answer(State.CONFIRMED, Reason.ALREADY_CONFIRMED)
INFORMED_ALREADY = Answer(State.SATISFIED, Reason.ALREADY_INFORMED)


class Row(NamedTuple):
    """A situation, and what it means in DACH, in the EU and at an unknown location, and elsewhere."""

    record: Record
    dach: Answer
    eu_and_unknown: Answer
    elsewhere: Answer = LEAVE_ALONE


def fact(which: Fact) -> Record:
    return Record(frozenset({which}))


def suppressed(reason: Reason) -> tuple[Answer, Answer, Answer]:
    return (Answer(State.SUPPRESSED, reason),) * 3


TABLE = {
    "nothing on record": Row(Record(), ASK_NOW, TELL_IN_30_DAYS),
    "confirmed": Row(fact(Fact.CONFIRMED), CONFIRMED, INFORMED_ALREADY),
    "opted in": Row(fact(Fact.OPTED_IN), CONFIRMED, INFORMED_ALREADY),
    "e-mail verified": Row(fact(Fact.EMAIL_VERIFIED), CONFIRMED, INFORMED_ALREADY),
    "form submitted": Row(fact(Fact.FORM_SUBMITTED), ASK_NOW, INFORMED_ALREADY),
    "content downloaded": Row(fact(Fact.CONTENT_DOWNLOADED), ASK_NOW, INFORMED_ALREADY),
    "privacy policy read": Row(fact(Fact.PRIVACY_POLICY_READ), ASK_NOW, INFORMED_ALREADY),
    "consent withdrawn": Row(fact(Fact.CONSENT_WITHDRAWN), ASK_NOW, TELL_IN_30_DAYS),  # the consents before are gone
    "notice sent": Row(fact(Fact.NOTICE_SENT), Answer(State.NOTIFIED, Reason.ALREADY_ASKED), INFORMED_ALREADY),
    "question pending": Row(
        Record(question=Question.PENDING),
        Answer(State.ACCEPTED, Reason.ALREADY_ASKED, joins=True),
        TELL_IN_30_DAYS,  # the mail has not left, so it has informed nobody
    ),
    "question open": Row(
        Record(question=Question.OPEN),
        Answer(State.AWAITING_CONFIRMATION, Reason.ALREADY_ASKED, joins=True),
        INFORMED_ALREADY,
    ),
    "objected": Row(fact(Fact.OBJECTED), *suppressed(Reason.OBJECTED)),
    "complained": Row(fact(Fact.COMPLAINED), *suppressed(Reason.COMPLAINED)),
    "erased": Row(fact(Fact.ERASED), *suppressed(Reason.ERASED)),
    "hard-bounced": Row(fact(Fact.HARD_BOUNCED), *suppressed(Reason.HARD_BOUNCED)),
}
LOCATIONS: list[str | None] = [None, *sorted(countries())]


def regime_by_hand(country: str | None, policy: Policy = DEFAULT) -> Regime:
    if country in DACH:
        return Regime.DOUBLE_OPT_IN
    if country is None or country in EU_WITHOUT_DACH or (policy is EEA_UK and country in EEA_AND_UK):
        return Regime.DELAYED_NOTICE
    return Regime.NO_CONTACT


def expected_decision(policy: Policy, country: str | None, row: Row) -> Decision:
    regime = regime_by_hand(country, policy)
    answer, region = {
        Regime.DOUBLE_OPT_IN: (row.dach, Reason.DOUBLE_OPT_IN_REGION),
        Regime.DELAYED_NOTICE: (row.eu_and_unknown, Reason.DELAYED_NOTICE_REGION),
        Regime.NO_CONTACT: (row.elsewhere, Reason.NO_CONTACT_REGION),
    }[regime]
    reason = answer.reason or (region if country else Reason.UNKNOWN_LOCATION)
    return Decision(regime, reason, answer.state, policy.version, answer.due_at, answer.joins)


@pytest.mark.parametrize("policy", [DEFAULT, EEA_UK], ids=lambda policy: policy.name)
@pytest.mark.parametrize("situation", TABLE)
def test_every_location_gets_what_the_table_says_in_every_situation(policy: Policy, situation: str) -> None:
    row = TABLE[situation]
    wrong = [
        (country, decision, expected)
        for country in LOCATIONS
        for decision in [decide(policy, Lead(country, REGISTERED), row.record, NOW)]
        for expected in [expected_decision(policy, country, row)]
        if decision != expected
    ]
    assert wrong == []


def test_the_table_covers_every_fact_every_question_and_more_than_the_249_codes_of_iso_3166_1() -> None:
    assert {which for row in TABLE.values() for which in row.record.facts} == set(Fact)
    assert {row.record.question for row in TABLE.values()} == set(Question)
    assert len(countries()) >= 250
    assert countries() >= DACH | EU_WITHOUT_DACH | LOOK_ALIKES | EEA_AND_UK


def test_the_eu_has_its_27_members_and_the_seven_territories_with_a_code_of_their_own() -> None:
    treated_as_eu = {code for code in countries() if DEFAULT.regime_of(code) is not Regime.NO_CONTACT}
    assert len(treated_as_eu - {"CH"}) == 27 + 7
    assert treated_as_eu == DACH | EU_WITHOUT_DACH


@pytest.mark.parametrize("code", sorted(LOOK_ALIKES))
@pytest.mark.parametrize("policy", [DEFAULT, EEA_UK], ids=lambda policy: policy.name)
def test_what_only_looks_like_the_eu_is_not_contacted(policy: Policy, code: str) -> None:
    assert policy.regime_of(code) is Regime.NO_CONTACT


@pytest.mark.parametrize(
    ("received", "regime"),
    [
        ("Réunion", Regime.DELAYED_NOTICE),
        ("RE", Regime.DELAYED_NOTICE),
        ("FR-974", Regime.DELAYED_NOTICE),
        ("Saint-Martin", Regime.DELAYED_NOTICE),
        ("MF", Regime.DELAYED_NOTICE),
        ("Sint Maarten", Regime.NO_CONTACT),
        ("SX", Regime.NO_CONTACT),
        ("Saint-Barthélemy", Regime.NO_CONTACT),
        ("XK", Regime.NO_CONTACT),
        ("Kosovo", Regime.NO_CONTACT),
        ("AX", Regime.DELAYED_NOTICE),
        ("Åland", Regime.DELAYED_NOTICE),
        ("GL", Regime.NO_CONTACT),
        ("Grönland", Regime.NO_CONTACT),
        ("UK", Regime.NO_CONTACT),
        ("EL", Regime.DELAYED_NOTICE),
        ("IC", Regime.DELAYED_NOTICE),
        ("Deutschland ", Regime.DOUBLE_OPT_IN),
        ("DEU", Regime.DOUBLE_OPT_IN),
        ("svizzera", Regime.DOUBLE_OPT_IN),
        ("EU", Regime.DELAYED_NOTICE),
        ("UN", Regime.DELAYED_NOTICE),
        ("ZZ", Regime.DELAYED_NOTICE),
        ("XX", Regime.DELAYED_NOTICE),
        ("", Regime.DELAYED_NOTICE),
        (" ", Regime.DELAYED_NOTICE),
        (None, Regime.DELAYED_NOTICE),
        ("somewhere", Regime.DELAYED_NOTICE),
        ("USA", Regime.NO_CONTACT),
    ],
)
def test_a_location_as_received_leads_to_its_regime(received: str | None, regime: Regime) -> None:
    assert DEFAULT.regime_of(read_location(received).country) is regime


def test_of_several_reasons_to_stay_silent_the_gravest_is_named() -> None:
    def reason(*facts: Fact) -> Reason:
        return decide(DEFAULT, Lead("DE", REGISTERED), Record(frozenset(facts)), NOW).reason

    assert reason(*SUPPRESSION) is Reason.ERASED
    assert reason(Fact.HARD_BOUNCED, Fact.OBJECTED, Fact.COMPLAINED) is Reason.OBJECTED
    assert reason(Fact.HARD_BOUNCED, Fact.COMPLAINED) is Reason.COMPLAINED


@pytest.mark.parametrize("country", ["FR", "US", None])
def test_a_question_that_has_left_stands_whatever_the_location_becomes(country: str | None) -> None:
    asked = Lead(country, REGISTERED, asked=True)
    decision = decide(DEFAULT, asked, Record(question=Question.OPEN), NOW)
    assert (decision.regime, decision.state, decision.due_at) == (
        Regime.DOUBLE_OPT_IN,
        State.AWAITING_CONFIRMATION,
        None,
    )
    assert decide(DEFAULT, asked, fact(Fact.OPTED_IN), NOW).state is State.CONFIRMED
    assert decide(DEFAULT, asked, fact(Fact.FORM_SUBMITTED), NOW).state is State.AWAITING_CONFIRMATION
    assert decide(DEFAULT, asked, fact(Fact.OBJECTED), NOW).state is State.SUPPRESSED


# Properties, over any policy that validates.

instants = st.datetimes(datetime(2000, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
records = st.builds(Record, st.frozensets(st.sampled_from(Fact)), st.sampled_from(Question))
leads = st.builds(Lead, st.sampled_from(LOCATIONS), instants, st.booleans())


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    codes = draw(st.lists(st.sampled_from(sorted(countries())), unique=True, max_size=40))
    cut = draw(st.integers(0, len(codes)))
    return {
        "name": draw(st.sampled_from(["one", "two"])),
        "regions": {
            "double_opt_in": codes[:cut],
            "delayed_notice": codes[cut:],
            "unknown": draw(st.sampled_from(["delayed_notice", "double_opt_in"])),
        },
        "notice": {"after_days": draw(st.integers(0, 365)), "cap": draw(st.sampled_from(["none", "one_month"]))},
        "double_opt_in": {"validity_days": draw(st.integers(1, 365))},
    }


policies = st.just(DEFAULT) | st.just(EEA_UK) | rules().map(Policy.model_validate)


@given(policies, leads, records, st.sampled_from(SUPPRESSION), instants)
def test_nothing_is_ever_sent_to_a_suppressed_subject(
    policy: Policy, lead: Lead, record: Record, why: Fact, now: datetime
) -> None:
    decision = decide(policy, lead, dataclasses.replace(record, facts=record.facts | {why}), now)
    assert (decision.state, decision.due_at, decision.joins) == (State.SUPPRESSED, None, False)


@given(policies, records, instants, instants, st.booleans())
def test_an_unknown_location_is_never_no_contact(
    policy: Policy, record: Record, registered_at: datetime, now: datetime, asked: bool
) -> None:
    decision = decide(policy, Lead(None, registered_at, asked), record, now)
    assert decision.regime is not Regime.NO_CONTACT
    assert decision.state is not State.NO_CONTACT
    assert decision.reason is not Reason.NO_CONTACT_REGION


@given(policies, leads, records, instants)
def test_a_due_time_is_named_exactly_when_a_mail_of_its_own_is_to_leave(
    policy: Policy, lead: Lead, record: Record, now: datetime
) -> None:
    decision = decide(policy, lead, record, now)
    to_leave = decision.state is State.WAITING or (decision.state is State.ACCEPTED and not decision.joins)
    assert (decision.due_at is not None) is to_leave


@given(st.sampled_from([None, *sorted(EU_WITHOUT_DACH)]), instants, instants)
def test_the_notice_is_due_thirty_days_after_registration_to_the_second(
    country: str | None, registered_at: datetime, now: datetime
) -> None:
    due_at = decide(DEFAULT, Lead(country, registered_at), Record(), now).due_at
    assert due_at is not None
    assert due_at - registered_at == timedelta(seconds=30 * 24 * 60 * 60)
    assert due_at.utcoffset() == timedelta(0)


@given(st.sampled_from(sorted(DACH)), instants, instants)
def test_the_question_is_due_at_once(country: str, registered_at: datetime, now: datetime) -> None:
    assert decide(DEFAULT, Lead(country, registered_at), Record(), now).due_at == now


@given(policies, leads, records, instants)
def test_a_decision_follows_from_its_arguments_alone(policy: Policy, lead: Lead, record: Record, now: datetime) -> None:
    decision = decide(policy, lead, record, now)
    twin = Policy.model_validate(policy.model_dump())
    assert decide(twin, dataclasses.replace(lead), dataclasses.replace(record), now) == decision
    assert decision.policy_version == policy.version


def test_a_decision_knows_nothing_of_the_partner() -> None:
    assert {field.name for field in dataclasses.fields(Lead)} == {"country", "registered_at", "asked"}
    assert {field.name for field in dataclasses.fields(Record)} == {"facts", "question"}
    assert list(inspect.signature(decide).parameters) == ["policy", "lead", "record", "now"]


@given(leads, records, instants, instants)
def test_the_present_instant_decides_nothing_but_when_a_question_is_put(
    lead: Lead, record: Record, now: datetime, later: datetime
) -> None:
    one, other = decide(DEFAULT, lead, record, now), decide(DEFAULT, lead, record, later)
    if one.due_at == now and one.state is State.ACCEPTED:
        one, other = (dataclasses.replace(each, due_at=None) for each in (one, other))
    assert one == other


@given(st.sampled_from(sorted(DACH)), records, st.frozensets(st.sampled_from(INFORMED)), instants)
def test_knowing_the_privacy_policy_never_replaces_the_double_opt_in(
    country: str, record: Record, read: frozenset[Fact], now: datetime
) -> None:
    lead = Lead(country, REGISTERED)
    more = dataclasses.replace(record, facts=record.facts | read)
    assert decide(DEFAULT, lead, more, now) == decide(DEFAULT, lead, record, now)


@given(policies, leads, records, st.sampled_from(CONSENT), instants)
def test_whoever_said_yes_gets_no_mail(policy: Policy, lead: Lead, record: Record, yes: Fact, now: datetime) -> None:
    decision = decide(policy, lead, dataclasses.replace(record, facts=record.facts | {yes}), now)
    assert decision.due_at is None
    assert not decision.joins


# The version.


def meaning(given: dict[str, Any]) -> str:
    """What rules say, whatever order they list countries in."""
    regions = {key: sorted(value) if isinstance(value, list) else value for key, value in given["regions"].items()}
    return json.dumps({**given, "regions": regions}, sort_keys=True)


@given(rules(), rules())
def test_two_policies_have_one_version_exactly_when_their_rules_are_the_same(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    same_version = Policy.model_validate(one).version == Policy.model_validate(other).version
    assert same_version == (meaning(one) == meaning(other))


@given(rules(), st.randoms(use_true_random=False))
def test_the_order_of_countries_makes_no_version(given: dict[str, Any], random: Random) -> None:
    shuffled = {key: random.sample(value, len(value)) for key, value in given["regions"].items() if key != "unknown"}
    twin = {**given, "regions": {**given["regions"], **shuffled}}
    assert Policy.model_validate(twin).version == Policy.model_validate(given).version


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"DE", "AT", "CH"', '"DE", "AT"'),
        ('"BE", "BG"', '"BE", "BG", "NO"'),
        ('unknown = "delayed_notice"', 'unknown = "double_opt_in"'),
        ("after_days = 30", "after_days = 29"),
        ('cap = "none"', 'cap = "one_month"'),
        ("validity_days = 30", "validity_days = 31"),
        ('name = "default-2026-11"', 'name = "mine"'),
    ],
)
def test_every_changed_rule_makes_another_version(tmp_path: Path, old: str, new: str) -> None:
    text = (SHIPPED / "default.toml").read_text()
    assert text.count(old) == 1
    assert read_policy(written(tmp_path, text.replace(old, new))).version != DEFAULT.version


def test_comments_layout_and_defaults_spelled_out_make_no_other_version(tmp_path: Path) -> None:
    text = (SHIPPED / "default.toml").read_text()
    bare = re.sub(r"(?m)^#.*\n", "", text).replace("\n\n", "\n")
    without_defaults = bare.partition("[notice]")[0].replace('unknown = "delayed_notice"', "")
    assert read_policy(written(tmp_path, bare)).version == DEFAULT.version
    assert read_policy(written(tmp_path, without_defaults)).version == DEFAULT.version


def test_a_version_names_the_policy_and_a_digest() -> None:
    assert re.fullmatch(r"default-2026-11@[0-9a-f]{12}", DEFAULT.version)
    assert EEA_UK.version.startswith("eea-uk-2026-11@")


# The cap of one month (GDPR Art. 14(3)(a)).


def capped() -> Policy:
    return Policy.model_validate({**DEFAULT.model_dump(), "notice": {"after_days": 30, "cap": "one_month"}})


@pytest.mark.parametrize(
    ("registered", "uncapped", "due"),
    [
        ("2026-01-29T10:00:01Z", "2026-02-28T10:00:01Z", "2026-02-28T10:00:01Z"),
        ("2026-01-30T10:00:01Z", "2026-03-01T10:00:01Z", "2026-02-28T10:00:01Z"),
        ("2026-01-31T23:59:59Z", "2026-03-02T23:59:59Z", "2026-02-28T23:59:59Z"),
        ("2026-02-01T00:00:00Z", "2026-03-03T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("2026-02-28T10:00:01Z", "2026-03-30T10:00:01Z", "2026-03-28T10:00:01Z"),
        ("2026-03-01T00:00:00Z", "2026-03-31T00:00:00Z", "2026-03-31T00:00:00Z"),
        ("2028-01-30T10:00:01Z", "2028-02-29T10:00:01Z", "2028-02-29T10:00:01Z"),
        ("2028-01-31T10:00:01Z", "2028-03-01T10:00:01Z", "2028-02-29T10:00:01Z"),
        ("2028-02-29T10:00:01Z", "2028-03-30T10:00:01Z", "2028-03-29T10:00:01Z"),
        ("2026-11-22T09:00:00Z", "2026-12-22T09:00:00Z", "2026-12-22T09:00:00Z"),
    ],
)
def test_the_cap_brings_the_notice_forward_where_a_month_is_shorter(registered: str, uncapped: str, due: str) -> None:
    at = datetime.fromisoformat(registered)
    assert DEFAULT.notice_due(at) == datetime.fromisoformat(uncapped)
    assert capped().notice_due(at) == datetime.fromisoformat(due)


@given(instants)
def test_the_cap_never_makes_a_notice_later_and_matters_only_from_the_end_of_january_to_the_end_of_february(
    registered_at: datetime,
) -> None:
    plain, cut = DEFAULT.notice_due(registered_at), capped().notice_due(registered_at)
    assert cut <= plain
    if cut < plain:
        assert (1, 30) <= (registered_at.month, registered_at.day) <= (2, 29)


def test_a_question_stays_open_for_thirty_days_to_the_second() -> None:
    assert DEFAULT.answer_until(NOW) - NOW == timedelta(days=30)


# Policy files.


def written(folder: Path, text: str) -> Path:
    file = folder / "policy.toml"
    file.write_text(text, encoding="utf-8")
    return file


MINIMAL = 'name = "mine"\n[regions]\ndouble_opt_in = ["DE"]\ndelayed_notice = ["FR"]\n'


def test_a_policy_file_needs_a_name_and_regions_and_nothing_more(tmp_path: Path) -> None:
    policy = read_policy(written(tmp_path, MINIMAL))
    assert [policy.regime_of(code) for code in ("DE", "FR", "AT", None)] == [
        Regime.DOUBLE_OPT_IN,
        Regime.DELAYED_NOTICE,
        Regime.NO_CONTACT,
        Regime.DELAYED_NOTICE,
    ]


@pytest.mark.parametrize(
    ("text", "pointer"),
    [
        (MINIMAL + "surprise = 1\n", "/regions/surprise"),
        ("surprise = 1\n" + MINIMAL, "/surprise"),
        (MINIMAL + "[notice]\nafter = 30\n", "/notice/after"),
        (MINIMAL + "[double_opt_in]\nreminder = true\n", "/double_opt_in/reminder"),
        (MINIMAL + "[reminders]\n", "/reminders"),
        (MINIMAL.replace('"FR"', '"ZZ"'), "/regions"),
        (MINIMAL.replace('"FR"', '"EU"'), "/regions"),
        (MINIMAL.replace('"FR"', '"UK"'), "/regions"),
        (MINIMAL.replace('"FR"', '"fr"'), "/regions"),
        (MINIMAL.replace('"FR"', '"FRA"'), "/regions"),
        (MINIMAL.replace('"FR"', '"FR", "DE"'), "/regions"),
        (MINIMAL.replace('"FR"', '"FR", "FR"'), "/regions"),
        (MINIMAL.replace('"FR"', "33"), "/regions/delayed_notice/0"),
        (MINIMAL.replace('["FR"]', '"FR"'), "/regions/delayed_notice"),
        (MINIMAL + 'unknown = "no_contact"\n', "/regions/unknown"),
        (MINIMAL + 'unknown = "FR"\n', "/regions/unknown"),
        (MINIMAL + "[notice]\nafter_days = -1\n", "/notice/after_days"),
        (MINIMAL + "[notice]\nafter_days = 366\n", "/notice/after_days"),
        (MINIMAL + "[notice]\nafter_days = 30.5\n", "/notice/after_days"),
        (MINIMAL + '[notice]\nafter_days = "30"\n', "/notice/after_days"),
        (MINIMAL + '[notice]\ncap = "two_months"\n', "/notice/cap"),
        (MINIMAL + "[double_opt_in]\nvalidity_days = 0\n", "/double_opt_in/validity_days"),
        (MINIMAL + "[double_opt_in]\nvalidity_days = true\n", "/double_opt_in/validity_days"),
        (MINIMAL.replace('name = "mine"', 'name = "Mine @ home"'), "/name"),
        (MINIMAL.replace('name = "mine"', ""), "/name"),
        ('name = "mine"\n', "/regions"),
        ("", "/name"),
    ],
)
def test_a_policy_file_that_breaks_a_rule_is_refused_and_the_place_is_named(
    tmp_path: Path, text: str, pointer: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_policy(written(tmp_path, text))
    assert (refused.value.pointer, refused.value.code) == (pointer, "invalid_policy")


def test_a_refusal_names_the_countries_concerned(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="XX, ZZ"):
        read_policy(written(tmp_path, MINIMAL.replace('"FR"', '"ZZ", "XX"')))
    with pytest.raises(InvalidInput, match="more than once: DE"):
        read_policy(written(tmp_path, MINIMAL.replace('"FR"', '"DE"')))


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe", b"[regions]\n[regions]\n"])
def test_what_is_no_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "policy.toml"
    file.write_bytes(content)
    with pytest.raises(InvalidInput) as refused:
        read_policy(file)
    assert refused.value.code == "unreadable_policy"


def test_a_missing_policy_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_policy(tmp_path / "none.toml")
    assert refused.value.code == "unreadable_policy"


def test_every_shipped_policy_loads_and_the_default_is_the_one_without_a_name() -> None:
    shipped = {file.name: read_policy(file) for file in SHIPPED.glob("*.toml")}
    assert set(shipped) == {"default.toml", "eea-uk.toml"}
    assert shipped["default.toml"] == DEFAULT
    assert (DEFAULT.notice.after_days, DEFAULT.notice.cap) == (30, "none")
    assert DEFAULT.double_opt_in.validity_days == 30


def test_the_second_policy_differs_by_iceland_liechtenstein_norway_and_the_united_kingdom_alone() -> None:
    differing = {code for code in LOCATIONS if DEFAULT.regime_of(code) is not EEA_UK.regime_of(code)}
    assert differing == EEA_AND_UK
    assert {EEA_UK.regime_of(code) for code in EEA_AND_UK} == {Regime.DELAYED_NOTICE}
    same = DEFAULT.model_dump(exclude={"name", "regions"})
    assert EEA_UK.model_dump(exclude={"name", "regions"}) == same


def test_a_policy_cannot_be_changed_once_it_is_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        DEFAULT.regions.unknown = "double_opt_in"  # type: ignore[misc] # the point
