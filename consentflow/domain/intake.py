"""What callers hand in, read into values; one door for every way in (API, batch, import).

Validation errors never repeat a value, since it may be personal data.
"""

import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from consentflow.domain.addresses import Mailbox, read_mailbox
from consentflow.domain.errors import InvalidInput
from consentflow.domain.names import read_name
from consentflow.domain.registrations import Kind

EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(minutes=5)
"""How far a caller's clock may run ahead of ours before its instants count as in the future."""
LONGEST_WEB_ADDRESS = 300
"""Characters of a company's domain or web address; a domain alone may have 253."""
_BEGINS_AS_RFC_3339 = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]", re.ASCII)


def _explained(error: InvalidInput) -> PydanticCustomError:
    # The type is the stable code, the message holds no value: both are safe to answer with.
    return PydanticCustomError(error.code, "{reason}", {"reason": error.reason})


def _name(value: str | None) -> str | None:
    try:
        return read_name(value, "")
    except InvalidInput as error:
        raise _explained(error) from None


def _as_received(value: str | None) -> str | None:
    _name(value)  # refuses what could not be shown or stored; what it would tidy up stays as it came
    return value


def _web_address(value: str | None) -> str | None:
    try:
        return read_name(value, "", LONGEST_WEB_ADDRESS)
    except InvalidInput as error:
        raise _explained(error) from None


def _address(value: str) -> str:
    _mailbox(value)
    return value.strip()


def _mailbox(value: str) -> Mailbox:
    try:
        return read_mailbox(value)
    except InvalidInput as error:
        raise _explained(error) from None


def _plausible(value: datetime) -> datetime:
    try:
        instant = value.astimezone(UTC)
    except OverflowError:
        instant = None
    if instant is None or instant < EARLIEST:
        raise PydanticCustomError("too_early", "lies before the year 2000")
    return instant


def _text(value: object) -> object:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "must be an RFC 3339 date and time")
    if not _BEGINS_AS_RFC_3339.match(value):  # a number would be read as seconds, or milliseconds, since 1970
        raise PydanticCustomError("datetime_parsing", "must be an RFC 3339 date and time")
    return value


def _mailbox_in(value: object) -> Mailbox:
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "must be a text")
    return _mailbox(value)


Identifier = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._:-]+$")]
"""A caller's own id; its alphabet keeps addresses out."""
Name = Annotated[str | None, Field(max_length=1000), AfterValidator(_name)]
Address = Annotated[str, Field(max_length=320), AfterValidator(_address)]
MailboxIn = Annotated[Mailbox, PlainValidator(_mailbox_in), WithJsonSchema({"type": "string", "maxLength": 320})]
"""An address, read at once: for what comes by the thousand."""
Place = Annotated[str | None, Field(max_length=200), AfterValidator(_as_received)]
Instant = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_text), AfterValidator(_plausible)]


class Strict(BaseModel):
    """Unknown fields and wrong types are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ContactIn(Strict):
    """The person, as the partner knows it."""

    email: Address
    given_name: Name = None
    family_name: Name = None
    language: Annotated[str | None, Field(max_length=35, pattern=r"^[A-Za-z0-9_-]*$")] = None

    @property
    def mailbox(self) -> Mailbox:
        """The address, read."""
        return _mailbox(self.email)


class CompanyIn(Strict):
    """The contact's company."""

    name: Name = None
    domain: Annotated[str | None, Field(max_length=LONGEST_WEB_ADDRESS), AfterValidator(_web_address)] = None


class RegistrationIn(Strict):
    """A partner registers a contact. ``registered_at`` defaults to the moment of acceptance.

    Deals alone may carry ``deal_reference`` (how partner and vendor call the deal in their own systems) and, in the
    double opt-in region, ``growth_specialist`` (the address of the vendor's person who works it with the partner).
    """

    registration_id: Identifier
    kind: Annotated[Kind, Field(strict=False)] = Kind.LEAD
    partner_id: Identifier
    registered_by: Address | None = None
    contact: ContactIn
    company: CompanyIn | None = None
    country: Place = None
    registered_at: Instant | None = None
    deal_reference: Identifier | None = None
    growth_specialist: Address | None = None

    def fingerprint(self, key: bytes) -> bytes:
        """Keyed hash of the content: equal for a repeat, different for anything else, silent about persons."""
        return hmac.digest(key, self.model_dump_json(exclude_none=True).encode(), "sha256")


class CorrectionIn(Strict):
    """A location that became known or was corrected; null makes it unknown again."""

    country: Place
