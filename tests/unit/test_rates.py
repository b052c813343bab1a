"""How often is too often: a limit for each, in windows that begin with the first time."""

import itertools

import pytest
from pydantic import ValidationError

from consentflow import rates
from consentflow.rates import Counts, Rate, network_of
from consentflow.settings import LimitSettings


class HandTime:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> HandTime:
    hand = HandTime()
    monkeypatch.setattr(rates, "monotonic", hand)
    return hand


def test_so_many_are_let_through_and_the_next_one_waits_for_the_end_of_the_window(time: HandTime) -> None:
    rate = Rate("3/minute")
    assert [rate.wait_of("ana") for _ in range(3)] == [0, 0, 0]
    time.seconds += 20.5
    assert rate.wait_of("ana") == 40
    time.seconds += 40
    assert rate.wait_of("ana") == 0


@pytest.mark.usefixtures("time")
def test_one_does_not_use_up_what_another_has() -> None:
    rate = Rate("1/minute")
    assert [rate.wait_of(whom) for whom in ("ana", "rui", "ana", "rui")] == [0, 0, 60, 60]


def test_what_the_short_window_refuses_does_not_count_for_the_long_one(time: HandTime) -> None:
    rate = Rate("5/hour; 2/minute")
    assert [rate.wait_of("ana") > 0 for _ in range(10)] == [False, False] + [True] * 8
    time.seconds += 60
    assert [rate.wait_of("ana") > 0 for _ in range(2)] == [False, False]
    time.seconds += 60
    assert [rate.wait_of("ana") for _ in range(2)] == [0, 3600 - 120]


def test_without_a_limit_nobody_waits() -> None:
    rate = Rate("")
    assert {rate.wait_of("ana") for _ in range(1000)} == {0}


def test_counts_that_are_over_are_forgotten(time: HandTime) -> None:
    counts = Counts()
    for number in range(1000):
        counts.incr(f"client {number}", 60)
    time.seconds += 61
    counts.incr("somebody else", 60)
    assert counts.reset() == 1


def test_an_ipv6_subscriber_is_one_client_whichever_of_its_addresses_it_uses() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9")
    assert network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("testclient") == "testclient"


@pytest.mark.parametrize("text", ["ten a minute", "10", "10/fortnight", "-1/minute", "10/minute;x"])
def test_a_limit_that_cannot_be_read_is_refused(text: str) -> None:
    for name in ("per_key", "forms"):
        with pytest.raises(ValidationError, match="10/minute;50/hour"):
            LimitSettings.model_validate({name: text})


def test_the_default_lets_ten_thousand_registrations_at_once_through() -> None:
    rate = Rate(LimitSettings().per_key)
    assert not any(rate.wait_of("registration service") for _ in itertools.repeat(None, 10_000))
