"""Where personal data lies: every column of the schema is declared here as personal, as pseudonymous or as neither.

Personal data belongs to the role it was given for: one person may be a lead, a partner's person and a requester at
once, and what becomes of one role leaves the others alone. Erasing the person walks all of them, and so does the
export of what is held. A column that is declared nowhere fails a test, so no table is forgotten.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """In which role a person gave us data, or was given to us."""

    LEAD = "lead"
    REGISTRANT = "registrant"
    """Registered leads for a partner."""
    SUBSCRIBER = "subscriber"
    REQUESTER = "requester"
    """Asked where its data comes from."""
    VISITOR = "visitor"
    """Asked to be let in, or is in."""
    OFFICER = "officer"


class Goes(StrEnum):
    """How it goes when the person is erased."""

    ROW = "row"
    """The whole row goes."""
    EMPTIED = "emptied"
    """The columns are emptied; what remains of the row is pseudonymous."""
    STAYS = "stays"
    """Not by erasing: whoever is an officer is one until removed as one."""


@dataclass(frozen=True, slots=True)
class Holding:
    """Personal data in one table, in one sense.

    Args:
        name: What the answer to an erasure and an export call it.
        columns: Those that hold personal data; none where a row that only names the pseudonym serves the person alone.
        withheld: Those of them that an export leaves out: they are about somebody else as well (GDPR Art. 15(4)).
        shown: Further columns that an export tells.
        belongs: Condition that finds the person's rows by the pseudonym, ``$1``.
        order: What an export sorts by; without it nothing is exported.
    """

    name: str
    table: str
    roles: tuple[Role, ...]
    goes: Goes
    columns: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    shown: tuple[str, ...] = ()
    belongs: str = "subject = $1"
    order: str | None = None

    @property
    def told(self) -> tuple[str, ...]:
        """The columns that an export tells."""
        return tuple(column for column in self.columns if column not in self.withheld) + self.shown


REGISTERED_BY: Final = "subject IN (SELECT subject FROM registrations WHERE registered_by = $1)"
"""Condition that finds those whom a person registered."""

HOLDINGS: Final = (
    Holding(
        name="contact",
        table="contacts",
        roles=(Role.LEAD, Role.REGISTRANT),
        goes=Goes.ROW,
        columns=("email", "given_name", "family_name", "language"),
        shown=("recorded_at",),
        order="recorded_at",
    ),
    Holding(
        name="registration_texts",
        table="registrations",
        roles=(Role.LEAD,),
        goes=Goes.EMPTIED,
        # What partners write into these may name the person: "Lea Muster Consulting".
        columns=("company_name", "country_received"),
    ),
    Holding(
        name="subscription",
        table="subscribers",
        roles=(Role.SUBSCRIBER,),
        goes=Goes.ROW,
        columns=("email", "language", "actions", "delivery"),
        shown=("partner_id", "kind", "hour", "weekday", "state", "since", "created_at"),
        order="partner_id",
    ),
    Holding(
        name="source_request",
        table="source_requests",
        roles=(Role.REQUESTER,),
        goes=Goes.EMPTIED,
        # Officers write the reasons; they may have named the person.
        columns=(
            "email",
            "name",
            "message",
            "identity_note",
            "extension_reason",
            "pause_reason",
            "reason",
            "balancing",
        ),
        withheld=("balancing",),
        shown=(
            "request_id",
            "language",
            "country",
            "channel",
            "state",
            "received_at",
            "opened_at",
            "deadline",
            "identity_confirmed_at",
            "extended_at",
            "paused_at",
            "pause_until",
            "decision",
            "closed_at",
        ),
        order="opened_at",
    ),
    Holding(
        name="balancing_of_interests",
        table="source_requests",
        roles=(Role.REGISTRANT,),
        goes=Goes.EMPTIED,
        columns=("balancing",),  # weighs the interests of whoever registered the requester
        belongs=REGISTERED_BY,
    ),
    Holding(
        name="mail",
        table="mails",
        roles=tuple(Role),
        goes=Goes.EMPTIED,
        columns=("envelope_to", "content"),
        shown=("purpose", "language", "frozen_at", "closed_at", "state", "bounced_at"),
        order="frozen_at",
    ),
    Holding(
        name="letter_naming_the_source",
        table="mails",
        roles=(Role.REGISTRANT,),
        goes=Goes.EMPTIED,
        columns=("envelope_to", "content"),
        # One that has not left yet must still arrive: whoever asked has a right to it (GDPR Art. 15(1)(g), 17(3)(b)).
        belongs=f"purpose = 'source_decision' AND state NOT IN ('frozen', 'attempting') AND {REGISTERED_BY}",
    ),
    Holding(
        name="session",
        table="sessions",
        roles=(Role.VISITOR,),
        goes=Goes.ROW,
        shown=("door", "language", "created_at", "last_used_at", "expires_at"),
        order="created_at",
    ),
    Holding(
        name="link",
        table="tokens",
        roles=(Role.LEAD, Role.SUBSCRIBER, Role.REQUESTER, Role.VISITOR),
        goes=Goes.ROW,
        shown=("purpose", "language", "expires_at", "used_at"),
        order="expires_at",
    ),
    Holding(
        name="officer",
        table="officers",
        roles=(Role.OFFICER,),
        goes=Goes.STAYS,
        columns=("email", "language"),
        shown=("role", "added_at"),
        order="added_at",
    ),
)
"""All personal data that is found by the pseudonym."""

SIGN_INS: Final = Holding(
    name="sign_in",
    table="sign_ins",
    roles=(Role.VISITOR,),
    goes=Goes.ROW,
    columns=("email", "language"),
    shown=("door", "asked_at"),
    belongs="sign_in_id = ANY($1)",
    order="asked_at",
)
"""Addresses as they were typed; each is gone as soon as it is answered, so nothing finds them by pseudonym."""

PSEUDONYMOUS: Final = {
    "checkpoints": ("previous_root", "root", "signature", "public_key"),
    "contacts": ("subject",),
    "facts": ("subject", "fact"),
    "ledger": ("subject", "registration_id", "event", "detail", "previous_hash", "entry_hash"),
    "mails": ("subject", "content_sha256", "text_version"),
    "officers": ("subject",),
    "questions": ("subject", "registration_id", "outcome"),
    "registrations": ("subject", "registered_by", "growth_specialist", "fingerprint"),
    "sessions": ("subject",),
    "source_requests": ("subject", "decided_by"),
    "subscribers": ("subject",),
    "tokens": ("subject", "token_sha256"),
}
"""Keyed hashes, and what hangs on them alone. They stay: as evidence, and so that nobody erased is written to again."""

NOT_PERSONAL: Final = {
    "accounts": ("domain", "status"),
    "api_keys": ("name", "role", "key_sha256"),
    "company_actions": ("partner_id", "domain", "action"),
    "credits": ("partner_id", "domain", "currency", "source", "event_id"),
    "events": ("source", "event_id", "type"),
    "mail_fault": ("fault",),
    "mails": (
        "purpose",
        "registration_id",
        "about",
        "state",
        "message_id",
        "envelope_from",
        "language",
        "reply",
        "bounce_status",
    ),
    "officers": ("role",),
    "outbox": ("topic", "payload"),
    "ownerships": ("domain", "partner_id"),
    "partners": ("partner_id", "name", "language", "time_zone"),
    "registrations": (
        "registration_id",
        "kind",
        "partner_id",
        "company_domain",
        "company_refusal",
        "country",
        "regime",
        "reason",
        "state",
        "policy_version",
        "deal_reference",
    ),
    "sessions": ("session_sha256", "door", "language"),
    "sign_ins": ("door",),
    "source_requests": (
        "request_id",
        "language",
        "country",
        "channel",
        "state",
        "decision",
        "extent",
        "linked_to",
    ),
    "specialist_companies": ("domain",),
    "subscribers": ("partner_id", "kind", "state"),
    "told": ("domain", "action"),
    "tokens": ("purpose", "language", "about"),
    "verifications": ("flaws",),
}
"""Organisations, ids, choices from a list, and what machines say to each other."""
