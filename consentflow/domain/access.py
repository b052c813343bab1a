"""What a person who asks is handed out (GDPR Art. 15): everything held about it, with what the law wants to be said.

Not in it: who registered the person, since that is somebody else's data and a data-source request decides on it; what
the partner noted for itself; and which officer looked, who is no recipient (CJEU C-579/21, points 73 to 83).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from consentflow.domain.letters import Controller
from consentflow.domain.retention import RULES

Value: TypeAlias = "str | int | bool | datetime | Sequence[str] | Mapping[str, object] | None"
Held: TypeAlias = "Mapping[str, Value]"
"""One thing that is held, by the names of its fields."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of data that may be held.

    Args:
        why: What for, and on what ground.
    """

    title: str
    why: str


KINDS: Final[Mapping[str, Kind]] = {
    "contact": Kind(
        "Contact data",
        "To contact you about your company's interest in our products, with your consent or in our legitimate interest"
        " (Art. 6(1)(a) or (f) GDPR); or because you registered leads with us.",
    ),
    "registration": Kind(
        "Registrations of your contact data by a sales partner",
        "They decide whether we ask you, tell you or leave you alone (Art. 6(1)(a), (c) and (f), Art. 14 GDPR).",
    ),
    "fact": Kind(
        "What you did that matters to data protection",
        "To act upon it, and to be able to prove it (Art. 5(2) and 7(1) GDPR). Kept under a pseudonym.",
    ),
    "mail": Kind(
        "Mails to you",
        "To prove what you were asked and told, and when (Art. 5(2) GDPR). Links are cut, since they act in your name.",
    ),
    "subscription": Kind(
        "Notifications you subscribed to",
        "To tell you what companies of your partner do, because you asked for it (Art. 6(1)(a) or (b) GDPR).",
    ),
    "company_followed": Kind("Companies you are told about", "As the growth specialist of a deal (Art. 6(1)(f) GDPR)."),
    "source_request": Kind(
        "Your questions where your data comes from",
        "To answer them, and to prove it (Art. 6(1)(c), 12 and 15 GDPR).",
    ),
    "registration_made": Kind(
        "Registrations you made for a partner",
        "To know the source of the data, which its subjects may ask for (Art. 14(2)(f) and 15(1)(g) GDPR).",
    ),
    "sign_in": Kind("Your asking to be let in", "To send you a link to sign in (Art. 6(1)(b) or (f) GDPR)."),
    "session": Kind("Your sessions", "To let you in (Art. 6(1)(b) or (f) GDPR)."),
    "link": Kind("Links in mails to you", "They let you answer, object or choose (Art. 6(1)(c) and (f) GDPR)."),
    "officer": Kind("Your being a privacy officer", "To let you into the console (Art. 6(1)(f) GDPR)."),
    "ledger": Kind(
        "The record of what happened",
        "Evidence, kept under a pseudonym (Art. 5(2) and 7(1) GDPR). Left out is who of us acted, not what and when.",
    ),
}
"""Every kind by name, in the order in which they are told."""

LABELS: Final[Mapping[str, str]] = {
    "about": "About",
    "actions": "Actions",
    "added_at": "Since",
    "address": "Address",
    "asked_at": "Asked at",
    "bounced_at": "Came back at",
    "channel": "By way of",
    "closed_at": "Closed at",
    "company_domain": "Company's domain",
    "company_name": "Company",
    "country": "Country",
    "country_received": "Country as received",
    "created_at": "Since",
    "deadline": "To be answered by",
    "decision": "Decision",
    "delivery": "Delivery",
    "detail": "Detail",
    "domain": "Domain",
    "door": "Door",
    "due_at": "Next mail due at",
    "email": "E-mail address",
    "event": "What happened",
    "expires_at": "Ends at",
    "extended_at": "Extended at",
    "extension_reason": "Reason for the extension",
    "fact": "What",
    "family_name": "Family name",
    "frozen_at": "Written at",
    "given_name": "Given name",
    "hour": "Hour of the day",
    "identity_confirmed_at": "Identity confirmed at",
    "identity_note": "Identity confirmed by",
    "kind": "Kind",
    "language": "Language",
    "last_used_at": "Last used at",
    "message": "Message",
    "name": "Name",
    "occurred_at": "When",
    "opened_at": "Entered at",
    "partner_id": "Partner",
    "pause_reason": "Reason for the pause",
    "pause_until": "Paused until",
    "paused_at": "Paused at",
    "policy_version": "Decided by policy",
    "purpose": "Purpose",
    "reason": "Reason",
    "received_at": "Received at",
    "recorded_at": "Recorded at",
    "regime": "Rule",
    "registered_at": "Registered at",
    "registration_id": "Registration",
    "request_id": "Request",
    "role": "Role",
    "since": "Confirmed at",
    "state": "State",
    "text": "Text",
    "at": "When",
    "used_at": "Used at",
    "weekday": "Day of the week",
}
"""What the fields are called."""


@dataclass(frozen=True, slots=True)
class Section:
    """All that is held of one kind."""

    name: str
    held: Sequence[Held]

    @property
    def kind(self) -> Kind:
        """What it is, and what for."""
        return KINDS[self.name]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Something that the law wants to be said besides."""

    title: str
    text: str


def information(controller: Controller) -> Sequence[Paragraph]:
    """What Art. 15(1) and (2) GDPR want to be said besides the data and its purposes."""
    kept = "; ".join(f"{rule.what}: {rule.period} after {rule.since}" for rule in RULES)
    return (
        Paragraph(
            "Recipients",
            "Service providers that process data on our behalf (Art. 28 GDPR). Sales partners are told what companies"
            " do, never what a person does.",
        ),
        Paragraph(
            "Transfers to third countries",
            f"See the privacy policy, version {controller.privacy_policy_version}: {controller.privacy_policy_url}",
        ),
        Paragraph("How long data is kept", f"{kept}. Everything else until you object or withdraw your consent."),
        Paragraph(
            "Source",
            "A sales partner of ours; not a publicly accessible source. Which one is answered on request"
            " (Art. 15(1)(g) GDPR), after weighing the interests of those concerned.",
        ),
        Paragraph(
            "Your rights",
            "Rectification (Art. 16 GDPR), erasure (Art. 17), restriction (Art. 18), portability (Art. 20), objection"
            f" (Art. 21), and withdrawal of a consent (Art. 7(3)). Please write to {controller.dpo_email}.",
        ),
        Paragraph(
            "Complaint", f"To a supervisory authority (Art. 77 GDPR); ours is: {controller.supervisory_authority}."
        ),
        Paragraph("Automated decisions", "None that concern you, and no profiling (Art. 22 GDPR)."),
    )
