"""What a purchase credits to the partner who owns the company: recurring revenue sold, whoever closed it."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import Final

from babel.numbers import list_currencies

from consentflow.domain.errors import InvalidInput

AMOUNT_PATTERN: Final = r"^\d{1,16}(\.\d{1,2})?$"
_AMOUNT: Final = re.compile(AMOUNT_PATTERN, re.ASCII)

_EXACT: Final = 10**13
"""From here on a JSON number with a fraction, read as a double, need not be what was meant to the cent."""

_TOO_MUCH: Final = 10**16


@dataclass(frozen=True, slots=True)
class Purchase:
    """What was bought.

    Args:
        amount: Monthly recurring revenue; positive, two decimals at most.
        currency: ISO 4217.
    """

    amount: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class Credit:
    """A purchase as it counts for a partner. ``recorded_at`` is the hour it was heard of, UTC."""

    credit_id: int
    domain: str
    purchase: Purchase
    purchased_on: date
    recorded_at: datetime


def read_purchase(amount: object, currency: object) -> Purchase | None:
    """What an event says was bought; None if it names no amount.

    Args:
        amount: As JSON has it: a text such as ``"1234.50"``, or a number.
        currency: An ISO 4217 code in upper case.

    Raises:
        InvalidInput: With the member as the pointer; the message does not repeat the value.
    """
    if currency is not None and not (isinstance(currency, str) and currency in _currencies()):
        raise InvalidInput("/currency", "invalid_currency", "must be an ISO 4217 code in upper case")
    if amount is None:
        return None
    read = _read_amount(amount)
    if not isinstance(currency, str):
        raise InvalidInput("/currency", "missing", "an amount needs a currency")
    return Purchase(read, currency)


def _read_amount(amount: object) -> Decimal:
    if isinstance(amount, bool) or not isinstance(amount, str | int | float):
        raise InvalidInput("/amount", "invalid_amount", "must be a text or a number")
    if isinstance(amount, float) and abs(amount) >= _EXACT:
        raise InvalidInput("/amount", "inexact_amount", "is too large for a JSON number; give it as a text")
    if not _AMOUNT.fullmatch(text := _as_text(amount)) or not (read := Decimal(text)):
        raise InvalidInput("/amount", "invalid_amount", "must be positive, with two decimals at most")
    return read


def _as_text(amount: str | float) -> str:
    if isinstance(amount, str):
        return amount
    if isinstance(amount, int):
        return str(amount) if 0 < amount < _TOO_MUCH else ""
    # The shortest text that reads as the same number: what was written, up to 15 digits.
    return format(Decimal(repr(amount)), "f").removesuffix(".0")


@cache
def _currencies() -> frozenset[str]:
    return frozenset(list_currencies())
