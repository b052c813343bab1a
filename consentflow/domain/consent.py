"""What is on record about a subject, and what of it the law cares for."""

from dataclasses import dataclass
from enum import StrEnum


class Fact(StrEnum):
    """One thing that happened to a subject and is kept for good, by pseudonym."""

    CONFIRMED = "confirmed"
    """Pressed the button of a double opt-in."""
    OPTED_IN = "opted_in"
    EMAIL_VERIFIED = "email_verified"

    FORM_SUBMITTED = "form_submitted"
    CONTENT_DOWNLOADED = "content_downloaded"
    PRIVACY_POLICY_READ = "privacy_policy_read"

    CONSENT_WITHDRAWN = "consent_withdrawn"
    """Took back every consent given until then (GDPR Art. 7(3))."""

    NOTICE_SENT = "notice_sent"

    OBJECTED = "objected"
    COMPLAINED = "complained"
    ERASED = "erased"
    HARD_BOUNCED = "hard_bounced"


CONSENT = frozenset({Fact.CONFIRMED, Fact.OPTED_IN, Fact.EMAIL_VERIFIED})
"""The subject said yes, or proved the address: answers a double opt-in."""

INFORMED = frozenset({Fact.FORM_SUBMITTED, Fact.CONTENT_DOWNLOADED, Fact.PRIVACY_POLICY_READ})
"""The subject has seen the privacy policy: replaces a notice (GDPR Art. 14(5)(a)), never a double opt-in."""

SUPPRESSION = (Fact.ERASED, Fact.OBJECTED, Fact.COMPLAINED, Fact.HARD_BOUNCED)
"""No mail to this subject, ever; the first that applies is named as the reason (GDPR Art. 17 and 21)."""

FACT_OF_EVENT = {
    "contact.opted_in": Fact.OPTED_IN,
    "contact.email_verified": Fact.EMAIL_VERIFIED,
    "contact.form_submitted": Fact.FORM_SUBMITTED,
    "contact.content_downloaded": Fact.CONTENT_DOWNLOADED,
    "contact.privacy_policy_read": Fact.PRIVACY_POLICY_READ,
    "contact.objected": Fact.OBJECTED,
    "contact.unsubscribed": Fact.OBJECTED,
    # Company actions that a person does by a form, or by taking what a form gives.
    "company.trial_requested": Fact.FORM_SUBMITTED,
    "company.demo_requested": Fact.FORM_SUBMITTED,
    "company.content_downloaded": Fact.CONTENT_DOWNLOADED,
}
"""Events about a person by their CloudEvents type, and the fact each puts on record of whoever's address it names."""


class Question(StrEnum):
    """How far the one question (double opt-in) that a mailbox may have open has come."""

    NONE = "none"
    PENDING = "pending"
    """Another registration is about to ask; the mail has not left yet."""
    OPEN = "open"
    """The mail has left; no answer so far, and there is time for one."""


@dataclass(frozen=True, slots=True)
class Record:
    """Everything on record about a subject at the moment of deciding.

    Args:
        facts: What happened, regardless of when and how often.
        question: The question this mailbox has open.
    """

    facts: frozenset[Fact] = frozenset()
    question: Question = Question.NONE

    @property
    def consented(self) -> bool:
        """Whether the subject said yes or proved the address."""
        return bool(self.facts & CONSENT)

    @property
    def informed(self) -> bool:
        """Whether the subject knows that the data is held: by itself, or by one of our mails."""
        return bool(self.facts & (INFORMED | {Fact.NOTICE_SENT})) or self.question is Question.OPEN

    @property
    def suppressed_by(self) -> Fact | None:
        """Why no mail may go to this subject, or None."""
        return next((fact for fact in SUPPRESSION if fact in self.facts), None)
