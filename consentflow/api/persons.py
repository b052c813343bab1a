"""How a request says which person it is about."""

from typing import Annotated, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from consentflow.domain.intake import Address, Strict


class PersonIn(Strict):
    """A person, by address or by pseudonym. Addresses stand in bodies, never in URLs: those end up in logs."""

    email: Address | None = None
    subject: Annotated[str | None, Field(pattern=r"^s-[0-9a-f]{32}$")] = None

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.email is None) == (self.subject is None):
            raise PydanticCustomError("email_or_subject", "names either an email or a subject")
        return self

    @property
    def who(self) -> str:
        """The address or the pseudonym."""
        return self.email or self.subject or ""
