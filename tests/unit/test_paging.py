"""Marks of lists go out in URLs and come back as they were; what is none is refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentflow.domain.errors import InvalidInput
from consentflow.domain.paging import Mark

INSTANTS = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - given one


@given(INSTANTS, st.text("abcXYZ019._:-", min_size=1, max_size=64))
def test_a_mark_comes_back_as_it_was(at: datetime, key: str) -> None:
    text = str(Mark(at, key))
    assert Mark.read(text) == Mark(at, key)
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_the_zone_makes_no_difference() -> None:
    berlin = timezone(timedelta(hours=1))
    assert str(Mark(datetime(2026, 11, 22, 10, tzinfo=berlin), "r-1")) == str(
        Mark(datetime(2026, 11, 22, 9, tzinfo=UTC), "r-1")
    )


@pytest.mark.parametrize("text", ["", "x", "!", "äöü", "AAAA", "MjAyNi0xMS0yMg", "=" * 9, "A" * 199])
def test_what_is_no_mark_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        Mark.read(text)
    assert refused.value.code == "invalid_mark"


@given(st.text(max_size=60))
def test_anything_else_is_refused_or_a_mark_and_never_an_accident(text: str) -> None:
    try:
        Mark.read(text)
    except InvalidInput:
        return
