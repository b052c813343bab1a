"""What requesters and officers hand in for a data-source request, read into values."""

import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from consentflow.domain.addresses import Mailbox, read_mailbox
from consentflow.domain.intake import Address, Instant, Name, Place, Strict
from consentflow.domain.source_requests import Extent, SourceDecision

LONGEST_TEXT = 4000
"""Characters of a message or a reason."""

_JOINERS = "\u200c\u200d"


def read_text(text: str | None) -> str | None:
    """Text of several lines as it is stored: NFC, trimmed, no control or format characters; None for a blank one.

    Such characters are dropped rather than refused: they come with what people paste.
    """
    lines = unicodedata.normalize("NFC", text or "").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(" ".join("".join(map(_visible, line)).split()) for line in lines).strip() or None


def _visible(char: str) -> str:
    match unicodedata.category(char):
        case "Cc" | "Zs" | "Zl" | "Zp":
            return " "
        case "Cf" | "Cs" | "Cn" | "Co":
            return char if char in _JOINERS else ""
        case _:
            return char


def _not_blank(text: str) -> str:
    read = read_text(text)
    if read is None:
        raise PydanticCustomError("blank", "must not be blank")
    return read


Text = Annotated[str | None, Field(max_length=LONGEST_TEXT), AfterValidator(read_text)]
Reason = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT), AfterValidator(_not_blank)]


class SourceRequestIn(Strict):
    """Somebody asks where its data comes from. ``received_at`` defaults to now; the legal clock counts from it.

    The answer goes to ``email`` and nowhere else, so it must be the address the request is about.
    """

    email: Address
    name: Name = None
    message: Text = None
    language: Annotated[str | None, Field(max_length=35, pattern=r"^[A-Za-z0-9_-]*$")] = None
    country: Place = None
    received_at: Instant | None = None

    @property
    def mailbox(self) -> Mailbox:
        """The address, read."""
        return read_mailbox(self.email)


class DecisionIn(Strict):
    """An officer decides.

    ``reason`` is what the person is told of why it does not get all it asked for, in the request's language; needed
    for ``partly`` and ``refuse``. ``balancing`` is the officer's own note on the interests of those who would be named.
    ``extent`` says what ``partly`` tells: ``partner`` (not who registered) or ``category``. ``version`` is that of the
    request as the officer saw it: the decision is refused if somebody has changed it since.
    """

    decision: Annotated[SourceDecision, Field(strict=False)]
    reason: Text = None
    balancing: Text = None
    extent: Annotated[Extent | None, Field(strict=False)] = None
    version: Annotated[int | None, Field(ge=1)] = None


class LetterIn(Strict):
    """A decision to be looked at as the letter it would be."""

    decision: Annotated[SourceDecision, Field(strict=False)]
    reason: Text = None
    extent: Annotated[Extent | None, Field(strict=False)] = None


class ReasonIn(Strict):
    """Why an officer does something that needs a reason. The reason of an extension is told to the person."""

    reason: Reason


class PauseIn(Strict):
    """Why an officer waits for the requester, and until when at most; the pause ends by itself."""

    reason: Reason
    until: Instant | None = None
