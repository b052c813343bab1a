"""Events from the vendor's site: CloudEvents 1.0, structured JSON, single or batch."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from consentflow.domain.intake import Instant, MailboxIn
from consentflow.domain.purchases import AMOUNT_PATTERN

MOST_PER_BATCH = 1000

Attribute = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00-\x1f\x7f]+$")]


_AMOUNT = WithJsonSchema(
    {
        "anyOf": [
            {"type": "string", "pattern": AMOUNT_PATTERN},
            {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.01},
            {"type": "null"},
        ],
        "description": "Of a purchase: monthly recurring revenue, positive, two decimals at most.",
    }
)
_CURRENCY = WithJsonSchema(
    {
        "anyOf": [{"type": "string", "pattern": "^[A-Z]{3}$"}, {"type": "null"}],
        "description": "Of a purchase with an amount: ISO 4217.",
    }
)


class EventData(BaseModel):
    """What an event tells. Members we do not know are the sender's own business and are not kept.

    ``amount`` and ``currency`` mean something for a purchase alone: see `consentflow.domain.purchases`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    email: MailboxIn | None = None
    domain: Annotated[str | None, Field(max_length=300)] = None
    occurred_at: Instant | None = None
    amount: Annotated[object, _AMOUNT] = None
    currency: Annotated[object, _CURRENCY] = None


class CloudEvent(BaseModel):
    """The context attributes that CloudEvents 1.0 requires, and the data. Extension attributes are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    specversion: Annotated[str, Field(pattern=r"^1\.0$")]
    id: Attribute
    source: Attribute
    type: Attribute
    time: Instant | None = None
    data: EventData = EventData()

    @property
    def occurred_at(self) -> datetime | None:
        """When it happened: by the data, else by the envelope."""
        return self.data.occurred_at or self.time


def as_list(body: object) -> list[object]:
    """One event or a batch, as a batch."""
    return body if isinstance(body, list) else [body]
