"""What a mail to a partner's people may say, as types: companies and what they did, nobody's name but the reader's."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from consentflow.domain.letters import Controller, Language, Recipient
from consentflow.domain.notifications import CompanyReport, Delivery


class PartnerLetterKind(StrEnum):
    """The mails that subscribers get."""

    SUBSCRIPTION = "subscription"
    """Asks a new subscriber to confirm the address."""
    DIGEST = "digest"
    """Tells what the partner's companies did: the immediate, the daily and the weekly one."""


@dataclass(frozen=True, slots=True)
class SubscriptionLetter:
    """Everything the templates of a request for confirmation can see.

    Args:
        partner: The partner's name, else its id.
        confirm: Link to the page with the button, absolute.
        unsubscribe: One-click link that ends the matter, absolute.
        answer_until: Until when the link can be used, UTC.
    """

    language: Language
    recipient: Recipient
    controller: Controller
    partner: str
    confirm: str
    unsubscribe: str
    written_at: datetime
    answer_until: datetime
    kind: PartnerLetterKind = PartnerLetterKind.SUBSCRIPTION

    @property
    def one_click(self) -> str | None:
        """The link of List-Unsubscribe."""
        return self.unsubscribe


@dataclass(frozen=True, slots=True)
class DigestLetter:
    """Everything the templates of a notification can see.

    Args:
        partner: The partner's name, else its id.
        delivery: How often the reader is told.
        companies: Those that did something, the most urgent first; never empty.
        begins_at: Since when what is told was collected, UTC.
        time_zone: IANA name of the zone that hours and days are told in.
        page: Where the reader changes what it is told, absolute.
        unsubscribe: One-click link, absolute.
    """

    language: Language
    recipient: Recipient
    controller: Controller
    partner: str
    delivery: Delivery
    companies: tuple[CompanyReport, ...]
    begins_at: datetime
    time_zone: str
    page: str
    unsubscribe: str
    written_at: datetime
    kind: PartnerLetterKind = PartnerLetterKind.DIGEST

    @property
    def one_click(self) -> str | None:
        """The link of List-Unsubscribe."""
        return self.unsubscribe
