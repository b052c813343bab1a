"""What came back about a mail we sent: a claim, until the bounce address turns out to be that of one of our mails."""

from dataclasses import dataclass, field
from enum import StrEnum


class InboundKind(StrEnum):
    """What a mail to a bounce address is about."""

    HARD_BOUNCE = "hard_bounce"
    """The mailbox does not exist, or cannot be reached by us at all."""
    SOFT_BOUNCE = "soft_bounce"
    """The mail did not arrive, or not yet, and the mailbox may well exist."""
    COMPLAINT = "complaint"
    """The recipient reported the mail as unwanted."""
    OTHER = "other"
    """Anything else: delivered, an automatic reply, a person, junk."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a mail claims. It holds no address but ours, and shows not even that one in logs.

    Args:
        kind: What it is about.
        status: The RFC 3463 status it gives, such as ``5.1.1``; None where it gives none.
        final: Whether the attempts to deliver have ended; False for a delay, and for what is no bounce.
        bounce_address: Lower case; the address it came to or says the original came from, if one of the form
            ``b-<24 hexadecimal digits>@<domain>``. Look it up; without a match, ignore the verdict.
        message_id: Lower case, with angle brackets; of the original mail, if of the form ``<32 hex digits@domain>``.
    """

    kind: InboundKind
    status: str | None = None
    final: bool = False
    bounce_address: str | None = field(default=None, repr=False)
    message_id: str | None = None
