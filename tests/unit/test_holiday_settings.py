"""Where the controller is: what is wrong stops the start and is named."""

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from consentflow.domain.clock import SystemClock
from consentflow.domain.deadlines import RestDays
from consentflow.runtime import Parts
from consentflow.settings import InvalidSettings, read_settings
from tests.conftest import environment


@pytest.fixture(autouse=True)
def all_that_must_be_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in environment("postgresql://127.0.0.1/unused").items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)


def test_without_a_word_deadlines_are_counted_as_in_germany() -> None:
    parts = Parts(read_settings(), SystemClock())
    assert parts.rest_days == RestDays("DE", None, ZoneInfo("Europe/Berlin"))


def test_deadlines_are_counted_where_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"COUNTRY": "CH", "SUBDIVISION": "ZH", "TIME_ZONE": "Europe/Zurich"}.items():
        monkeypatch.setenv(f"CONSENTFLOW_HOLIDAYS__{name}", value)
    assert read_settings().holidays.as_rest_days() == RestDays("CH", "ZH", ZoneInfo("Europe/Zurich"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("COUNTRY", "Germany"),
        ("COUNTRY", "de"),
        ("COUNTRY", "XX"),
        ("COUNTRY", ""),
        ("SUBDIVISION", "ZH"),
        ("SUBDIVISION", "Bayern"),
        ("SUBDIVISION", ""),
        ("TIME_ZONE", "Berlin"),
        ("TIME_ZONE", "../localtime"),
        ("TIME_ZONE", ""),
    ],
)
def test_a_wrong_place_stops_the_start_with_a_message_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"CONSENTFLOW_HOLIDAYS__{name}", value)
    with pytest.raises(InvalidSettings) as refusal:
        read_settings()
    assert str(refusal.value).startswith(f"CONSENTFLOW_HOLIDAYS__{name}: ")
    assert str(refusal.value).count("CONSENTFLOW_") == 1


def test_everything_wrong_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COUNTRY", "SUBDIVISION", "TIME_ZONE"):
        monkeypatch.setenv(f"CONSENTFLOW_HOLIDAYS__{name}", "nonsense")
    with pytest.raises(InvalidSettings) as refusal:
        read_settings()
    named = [line.partition(":")[0] for line in str(refusal.value).splitlines()]
    assert named == ["CONSENTFLOW_HOLIDAYS__COUNTRY", "CONSENTFLOW_HOLIDAYS__TIME_ZONE"]
