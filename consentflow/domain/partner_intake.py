"""What is handed in about partners and their people, read into values."""

from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field, WithJsonSchema, WrapValidator
from pydantic_core import PydanticCustomError

from consentflow.domain.deadlines import is_time_zone
from consentflow.domain.intake import Name, Strict
from consentflow.domain.letters import Language
from consentflow.domain.notifications import Action, Delivery
from consentflow.domain.partners import DEFAULT_TIME_ZONE, Choice, Partner

ALL = "all"
"""Every action there is, those to come included."""


def _all_or_some(value: object, some: Callable[[object], list[Action] | None]) -> list[Action] | None:
    if value == ALL:
        return None
    if value is None:
        raise PydanticCustomError("list_type", "must be a list of actions, or the word all")
    return some(value)


def _named(value: str | None) -> str | None:
    if value is None:
        raise PydanticCustomError("missing", "a partner needs a name")
    return value


def _time_zone(value: str) -> str:
    if not is_time_zone(value):
        raise PydanticCustomError("invalid_time_zone", "must be the name of a time zone, such as Europe/Berlin")
    return value


_LanguageIn = Annotated[Language, Field(strict=False)]
_ACTIONS = {
    "anyOf": [
        {"const": ALL},
        {"type": "array", "minItems": 1, "items": {"enum": [action.value for action in Action]}},
    ]
}


class PartnerIn(Strict):
    """What a partner is called, and how its people are told: their language unless they choose, and their hours."""

    name: Annotated[Name, AfterValidator(_named)]
    language: _LanguageIn = Language.ENGLISH
    timezone: Annotated[str, Field(max_length=64), AfterValidator(_time_zone)] = DEFAULT_TIME_ZONE

    def as_partner(self, partner_id: str) -> Partner:
        """The partner with that id."""
        return Partner(partner_id, self.name or partner_id, self.language, self.timezone)


class ChoiceIn(Strict):
    """What a subscriber wants to be told and how often.

    Daily and weekly notifications leave at ``hour`` in the partner's time zone, weekly ones on ``weekday``: 0 is
    Monday.
    """

    actions: Annotated[
        list[Annotated[Action, Field(strict=False)]] | None,
        Field(min_length=1),
        WrapValidator(_all_or_some),
        WithJsonSchema(_ACTIONS),
    ]
    delivery: Annotated[Delivery, Field(strict=False)]
    hour: Annotated[int, Field(ge=0, le=23)] = 8
    weekday: Annotated[int, Field(ge=0, le=6)] = 0
    language: _LanguageIn | None = None

    def as_choice(self) -> Choice:
        """The choice."""
        actions = frozenset(self.actions) if self.actions is not None else None
        return Choice(actions, self.delivery, self.hour, self.weekday, self.language)
