"""Reading what was bought: exact decimals, from texts and from numbers."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentflow.domain.errors import InvalidInput
from consentflow.domain.purchases import Purchase, read_purchase

CENTS = st.integers(min_value=1, max_value=10**15 - 1)


@given(CENTS)
def test_a_number_is_read_to_the_cent_as_it_was_written(cents: int) -> None:
    amount = Decimal(cents) / 100
    assert read_purchase(float(amount), "EUR") == Purchase(amount, "EUR")


@given(CENTS.map(lambda cents: cents * 1000 + 1))
def test_a_text_is_read_to_the_cent_however_large(cents: int) -> None:
    text = f"{Decimal(cents) / 100:.2f}"
    read = read_purchase(text, "CHF")
    assert read
    assert f"{read.amount:.2f}" == text


@given(st.floats() | st.integers() | st.text() | st.booleans() | st.lists(st.integers()))
def test_whatever_is_accepted_is_positive_and_has_two_decimals_at_most(amount: object) -> None:
    with suppress(InvalidInput):
        read = read_purchase(amount, "EUR")
        assert read
        assert 0 < read.amount < 10**16
        assert read.amount == round(read.amount, 2)


@pytest.mark.parametrize("currency", ["EUR", "CHF", "USD", "JPY", "GBP", "PLN"])
def test_currencies_are_those_of_iso_4217(currency: str) -> None:
    assert read_purchase("1", currency) == Purchase(Decimal(1), currency)


def test_without_an_amount_nothing_was_bought() -> None:
    assert read_purchase(None, None) is None
    assert read_purchase(None, "EUR") is None
