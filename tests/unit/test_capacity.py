"""What the page on capacity reckons, against a year played out registration by registration."""

import math
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.capacity import demand, given, units, year
from benchmarks.capacity import page as capacity
from benchmarks.capacity.demand import DAY, MIX, Demand
from benchmarks.capacity.given import Prices, Rates
from benchmarks.capacity.sizing import Capacity
from benchmarks.capacity.year import Year
from benchmarks.costs import unit_costs as costs
from consentflow.domain.policy import DoubleOptInRules, NoticeRules, read_policy

ROOT = Path(__file__).parents[2]
TOLERANCE = {
    "registrations in the busiest hour of the week": 0.06,
    "notices in their busiest hour of the week": 0.08,
}
"""Where an hour of the week is counted fifty-two times, chance shows more; all else agrees within `ORDINARY`."""

ORDINARY = 0.03


def of(open_waiting: float, asked_for: Demand | None = None) -> Capacity:
    return Capacity(open_waiting, costs.read(), Rates.read(given.RATES), asked_for or demand.default())


@pytest.fixture(scope="module")
def played() -> Year:
    return capacity.play(demand.default())


class TestReckonedAndPlayedOut:
    def test_agree_on_everything_that_is_compared(self, played: Year) -> None:
        compared = capacity.compared(of(capacity.PLAYED), played)
        off = {
            name: (reckoned, found)
            for name, reckoned, found in compared
            if not math.isclose(reckoned, found, rel_tol=TOLERANCE.get(name, ORDINARY))
        }
        assert off == {}

    def test_as_many_wait_as_come_in_the_time_they_wait(self, played: Year) -> None:
        """Little's law, once more without our formula: the time is taken from the year itself."""
        came, waited = played.total("waiting"), sum(played.waiting) / 24
        mean_days = waited / came
        assert mean_days == pytest.approx(of(1).demand.open_waiting / DAY / demand.default().steps["waiting"], rel=0.02)

    def test_nobody_is_lost(self, played: Year) -> None:
        """Whoever began to wait ended in some way, or still waits."""
        demanded = demand.default()
        ended = sum(played.total(fate.step) for fate in demanded.mix.while_waiting) + played.total("notified")
        begun_before = (
            played.waiting[0]
            - played.steps["waiting"][0]
            + sum(played.steps[step][0] for step in ("notified", *(fate.step for fate in demanded.mix.while_waiting)))
        )
        assert begun_before + played.total("waiting") - ended == played.waiting[-1]

    def test_the_same_seed_plays_the_same_year(self) -> None:
        short = year.play(demand.default(), yearly=2000, seed=7)
        again = year.play(demand.default(), yearly=2000, seed=7)
        assert (short.steps, short.waiting) == (again.steps, again.waiting)


class TestDemand:
    def test_every_registration_takes_one_first_step(self) -> None:
        steps = demand.default().steps
        assert sum(steps[step] for step in set(demand.FIRST_STEP.values())) == pytest.approx(1)

    def test_the_hours_of_a_week_make_the_whole(self) -> None:
        demanded = demand.default()
        for step, hours in demanded.by_hour.items():
            assert sum(hours) / demand.WEEK == pytest.approx(demanded.steps[step], rel=0.001), step

    def test_the_times_are_the_policy_s(self) -> None:
        rules = read_policy().model_copy(
            update={"notice": NoticeRules(after_days=60), "double_opt_in": DoubleOptInRules(validity_days=10)}
        )
        slower = Demand(rules, MIX)
        assert slower.waiting_time == timedelta(days=60)
        assert slower.answer_time == timedelta(days=10)
        assert slower.open_waiting > demand.default().open_waiting
        assert slower.open_asked < demand.default().open_asked

    def test_where_nothing_ends_the_waiting_it_lasts_to_the_notice(self) -> None:
        patient = Demand(read_policy(), replace(MIX, while_waiting=()))
        assert patient.open_waiting == patient.steps["waiting"] * timedelta(days=30)
        assert patient.steps["notified"] == patient.steps["waiting"]


class TestCapacity:
    def test_every_step_is_one_that_was_counted(self) -> None:
        assert set(units.STEPS) == set(demand.default().steps)
        assert set(units.units(costs.read())) == set(units.STEPS)

    def test_a_registration_starts_one_workflow_however_it_ends(self) -> None:
        assert of(1000).each(lambda unit: max(unit.starts, 0)) == pytest.approx(1)

    def test_ten_times_as_many_need_ten_times_as_much(self) -> None:
        one, ten = of(1e6), of(1e7)
        assert ten.monthly_actions == pytest.approx(10 * one.monthly_actions)
        assert ten.engine_postgres_bytes == pytest.approx(10 * one.engine_postgres_bytes)
        assert ten.stored_bytes(3) == pytest.approx(10 * one.stored_bytes(3))

    def test_what_is_let_go_levels_out_and_the_rest_grows(self) -> None:
        one = of(1e6)
        first, third = one.stored_bytes(1), one.stored_bytes(3)
        assert first < third < 3 * first
        assert one.stored_bytes(3) - one.stored_bytes(2) == pytest.approx(one.stored_bytes(4) - one.stored_bytes(3))

    @pytest.mark.parametrize("open_waiting", [1e3, 1e6, 3e7, 1e8])
    def test_the_number_of_shards_is_a_power_of_two(self, open_waiting: float) -> None:
        shards = of(open_waiting).shards
        assert shards & (shards - 1) == 0
        assert shards * 20_000 >= open_waiting

    def test_actions_cost_what_the_price_list_gives_as_its_example(self) -> None:
        assert Prices().actions(11.25e6) == pytest.approx(525)

    def test_beyond_the_list_its_last_price_goes_on(self) -> None:
        assert Prices().actions(300e6) - Prices().actions(200e6) == pytest.approx(100 * 25)


class TestPage:
    def test_every_number_of_the_page_is_what_the_arithmetic_makes_of_what_was_measured(self, played: Year) -> None:
        page = (ROOT / capacity.PAGE).read_text(encoding="utf-8")
        tables = capacity.sections(costs.read(), Rates.read(given.RATES), played)
        assert capacity.put(page, tables) == page
