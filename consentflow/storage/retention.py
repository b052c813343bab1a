"""The sweep: what has been kept long enough goes, the oldest first, in batches that hold up nobody.

Every batch walks the index of its rule from the old end and passes over rows that somebody else holds; they are there
on the next day. No batch reads a whole table, whatever it holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from consentflow.domain.addresses import Subject
from consentflow.domain.consent import CONSENT
from consentflow.domain.registrations import HOLDS_NO_CONTACT, OPEN
from consentflow.storage.pool import Connection

_LONGEST_WAIT = 3600
"""Seconds that counting what would go may take; letting it go takes short batches."""

_BYTES_KEPT = "(content IS NOT NULL OR envelope_to IS NOT NULL)"
_ANSWERS = "('source_decision', 'source_extension')"


@dataclass(frozen=True, slots=True)
class Sweep:
    """Where the rows of a rule are.

    Args:
        since: The column that the rule's time is counted from.
        condition: Which rows the rule is about; as the index has it, and what is checked beside it.
        emptied: Columns that lose their content; without any, the row goes.
    """

    table: str
    since: str
    condition: str = "true"
    emptied: tuple[str, ...] = ()

    @property
    def _due(self) -> str:
        return f"FROM {self.table} WHERE {self.since} < $1 AND {self.condition}"

    @property
    def batch(self) -> str:
        """The statement that lets up to ``$2`` rows go that are older than ``$1``."""
        emptied = ", ".join(f"{column} = NULL" for column in self.emptied)
        change = f"UPDATE {self.table} SET {emptied}" if emptied else f"DELETE FROM {self.table}"  # noqa: S608 - ours
        due = f"SELECT ctid {self._due} ORDER BY {self.since} LIMIT $2 FOR UPDATE SKIP LOCKED"
        return f"{change} WHERE ctid = ANY (ARRAY ({due}))"

    @property
    def outlook(self) -> str:
        """The statement that says how many rows are older than ``$1``, and how old the oldest is."""
        return f"SELECT count(*) AS rows, min({self.since}) AS oldest {self._due}"


SWEEPS: Final[Mapping[str, Sweep]] = {
    "mails": Sweep(
        "mails",
        "frozen_at",
        f"{_BYTES_KEPT} AND purpose NOT IN {_ANSWERS} AND state NOT IN ('frozen', 'attempting')",
        emptied=("envelope_to", "content"),
    ),
    "answers": Sweep(
        "mails",
        "frozen_at",
        f"{_BYTES_KEPT} AND purpose IN {_ANSWERS} AND state NOT IN ('frozen', 'attempting')",
        emptied=("envelope_to", "content"),
    ),
    "registration_texts": Sweep(
        "registrations",
        "registered_at",
        "(company_name IS NOT NULL OR country_received IS NOT NULL)",
        emptied=("company_name", "country_received"),
    ),
    "unconfirmed_subscribers": Sweep("subscribers", "created_at", "state = 'pending'"),
    "request_texts": Sweep(
        "source_requests",
        "closed_at",
        "closed_at IS NOT NULL AND (name IS NOT NULL OR message IS NOT NULL)",
        emptied=("name", "message"),
    ),
    "requests": Sweep(
        "source_requests",
        "closed_at",
        "closed_at IS NOT NULL AND email IS NOT NULL",
        emptied=("email", "identity_note", "extension_reason", "pause_reason", "reason", "balancing"),
    ),
    "sign_ins": Sweep("sign_ins", "asked_at"),
    "sessions": Sweep("sessions", "expires_at"),
    "links": Sweep("tokens", "expires_at"),
    "door_links": Sweep("tokens", "expires_at", "purpose IN ('sign_in', 'identity')"),
    "company_actions": Sweep("company_actions", "hour"),
    "told": Sweep("told", "hour"),
    "digests": Sweep("digests", "closed_at", "closed_at IS NOT NULL"),
    "events": Sweep("events", "recorded_at"),
}
"""By the rule's name. Contacts are not here: whether one goes depends on more than its age."""


async def sweep(connection: Connection, name: str, cutoff: datetime, most: int) -> int:
    """Lets a batch of what is older go; returns how many rows did."""
    done: str = await connection.execute(SWEEPS[name].batch, cutoff, most)
    return int(done.rpartition(" ")[2])


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a sweep would let go: how many rows, and since when the oldest is there, UTC."""

    rows: int
    oldest: datetime | None


async def outlook(connection: Connection, name: str, cutoff: datetime) -> Outlook:
    """What is older; changes nothing."""
    row = await connection.fetchrow(SWEEPS[name].outlook, cutoff, timeout=_LONGEST_WAIT)
    assert row is not None  # noqa: S101 - an aggregate always answers with one row
    return Outlook(**row)


# Contacts.

_AGE = "coalesce(counts_from, recorded_at)"
_STATES_AND_CONSENTS: Final = (list(HOLDS_NO_CONTACT), list(OPEN), list(CONSENT))


def _needed(contacts: str) -> str:
    """As of when somebody was last known to have a use for each of these contacts; null if nobody has.

    That is the last registration of the person, or by it; or ``$2`` while something lasts: an open registration, a
    consent, the data of somebody whom the person registered.
    """
    return f"""
        SELECT contact.subject, greatest(
            (SELECT max(registered_at) FROM registrations
             WHERE registrations.subject = contact.subject AND NOT state = ANY ($3)),
            (SELECT max(registered_at) FROM registrations WHERE registered_by = contact.subject),
            (SELECT $2::timestamptz FROM registrations WHERE registrations.subject = contact.subject AND (
                state = ANY ($4) OR NOT state = ANY ($3) AND EXISTS (
                    SELECT FROM facts
                    WHERE facts.subject = contact.subject AND fact = ANY ($5) AND occurred_at > coalesce(
                        (SELECT max(occurred_at) FROM facts AS taken_back
                         WHERE taken_back.subject = contact.subject AND taken_back.fact = 'consent_withdrawn'),
                        '-infinity'
                    )
                )
             ) LIMIT 1),
            (SELECT $2 FROM registrations JOIN contacts AS lead USING (subject)
             WHERE registered_by = contact.subject LIMIT 1)
        ) AS needed_at
        FROM {contacts} AS contact (subject)
    """  # noqa: S608 - one of two below


async def contacts_to_look_at(connection: Connection, cutoff: datetime, most: int) -> list[Subject]:
    """Up to `most` persons whose contact has not been looked at since, the longest first.

    They are held for the transaction: nobody registers, erases or weighs them. Whoever is busy is passed over.
    """
    rows = await connection.fetch(
        f"""
        WITH old AS MATERIALIZED (
            SELECT subject FROM contacts WHERE {_AGE} < $1 ORDER BY {_AGE} LIMIT $2
        )
        SELECT subject FROM old
        WHERE pg_try_advisory_xact_lock(hashtextextended(subject, 0))
            AND pg_try_advisory_xact_lock(hashtextextended(subject, 4))
        """,  # noqa: S608 - our own expression
        cutoff,
        most,
    )
    return [row["subject"] for row in rows]


async def needed_at(
    connection: Connection, subjects: list[Subject], lasting: datetime
) -> Mapping[Subject, datetime | None]:
    """As of when each contact was last known to be of use; None when nothing has a use for it.

    Args:
        lasting: What counts while something lasts that has no end of its own.
    """
    rows = await connection.fetch(_needed("unnest($1::text[])"), subjects, lasting, *_STATES_AND_CONSENTS)
    return {row["subject"]: row["needed_at"] for row in rows}


async def put_off(connection: Connection, needed: Mapping[Subject, datetime]) -> None:
    """The time of these contacts is counted from later."""
    await connection.execute(
        """
        UPDATE contacts SET counts_from = needed.at
        FROM unnest($1::text[], $2::timestamptz[]) AS needed (subject, at) WHERE contacts.subject = needed.subject
        """,
        list(needed),
        list(needed.values()),
    )


async def contacts_outlook(connection: Connection, cutoff: datetime, lasting: datetime) -> Outlook:
    """Which contacts a sweep would let go; changes nothing."""
    old = f"(SELECT subject FROM contacts WHERE {_AGE} < $1)"  # noqa: S608 - our own expression
    row = await connection.fetchrow(
        f"""
        SELECT count(*) AS rows, min({_AGE}) AS oldest FROM contacts JOIN ({_needed(old)}) AS needed USING (subject)
        WHERE coalesce(needed_at, '-infinity') < $1
        """,  # noqa: S608 - our own expressions
        cutoff,
        lasting,
        *_STATES_AND_CONSENTS,
        timeout=_LONGEST_WAIT,
    )
    assert row is not None  # noqa: S101 - an aggregate always answers with one row
    return Outlook(**row)
