"""Registrations being taken, many at once: all that is read, and all that is written, by one statement for each."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from consentflow.domain.addresses import Subject
from consentflow.domain.consent import Fact
from consentflow.domain.registrations import Registration
from consentflow.storage import contacts, facts, trail
from consentflow.storage.companies import Ownership
from consentflow.storage.contacts import Contact
from consentflow.storage.pool import Connection, take_along
from consentflow.storage.questions import AskedQuestion
from consentflow.storage.registrations import COLUMNS, NAMES, arrays


@dataclass(frozen=True, slots=True)
class OnRecord:
    """What a set of registrations meets.

    Args:
        known: Those of its ids that were taken before.
        facts: By subject; nothing about some is an answer, too.
        questions: By subject, the question that the mailbox has open.
        statuses: By domain, what the CRM says of the company.
        owners: By domain, who owns the company.
    """

    known: frozenset[str]
    facts: dict[Subject, frozenset[Fact]]
    questions: dict[Subject, AskedQuestion]
    statuses: dict[str, str]
    owners: dict[str, Ownership]


@dataclass(frozen=True, slots=True)
class New:
    """What a set of registrations leads to.

    Args:
        questions: Their mails are yet to leave.
        owners: By domain, who owns the company from now on, whoever did.
        introduced: Those among the persons whose own locks the caller does not hold.
    """

    registrations: Collection[Registration]
    questions: Sequence[AskedQuestion]
    owners: Mapping[str, Ownership]
    persons: Collection[Contact]
    introduced: Collection[Subject]


async def find(
    connection: Connection,
    registration_ids: Collection[str],
    subjects: Collection[Subject],
    domains: Collection[str],
    at: datetime,
) -> OnRecord:
    """What is on record under those ids, about those subjects and about those companies."""
    # OFFSET 0 makes each a look into an index, whatever is estimated; the plan is kept while the tables grow.
    rows = await connection.fetch(
        f"""
        SELECT asked.subject, asked.domain,
            (SELECT registration_id FROM registrations WHERE registration_id = asked.registration_id) AS known,
            (SELECT array_agg(DISTINCT fact) FROM facts WHERE facts.subject = asked.subject AND {facts.STANDS}),
            question_id, question.registration_id AS asker, asked_at, answer_until,
            (SELECT status FROM accounts WHERE accounts.domain = asked.domain) AS status,
            partner_id, since, until
        FROM unnest($1::text[], $2::text[], $3::text[]) AS asked (registration_id, subject, domain)
            LEFT JOIN LATERAL (
                SELECT question_id, registration_id, asked_at, answer_until
                FROM questions WHERE questions.subject = asked.subject AND outcome IS NULL OFFSET 0
            ) AS question ON true
            LEFT JOIN LATERAL (
                SELECT partner_id, since, until FROM ownerships WHERE ownerships.domain = asked.domain AND until > $4
                OFFSET 0
            ) AS owner ON true
        """,  # noqa: S608 - our own condition
        list(registration_ids),
        list(subjects),
        list(domains),
        at,
    )
    found = OnRecord(frozenset(row["known"] for row in rows if row["known"] is not None), {}, {}, {}, {})
    for subject, domain, _, happened, question_id, asker, asked_at, answer_until, status, *owner in rows:
        if subject is not None:
            found.facts[subject] = frozenset(map(Fact, happened)) if happened else frozenset()
        if question_id is not None:
            found.questions[subject] = AskedQuestion(question_id, subject, asker, None, asked_at, answer_until)
        if status is not None:
            found.statuses[domain] = status
        if owner[0] is not None:
            found.owners[domain] = Ownership(*owner)
    return found


async def write(connection: Connection, new: New, at: datetime) -> bool:
    """Stores new registrations and what comes with them; False when an id among them is taken: the caller must give up.

    Takes along what was kept for ledger and outbox. Always in one order, so that two who wait for each other cannot
    be: the ids, then the persons, then the ledger. Of a person, what is known already stays; a later registration only
    fills what was missing. Those who are only introduced are left alone if they are known, so that nobody waits for a
    row that many have in common. A shared lock, taken in the same breath, keeps the sweep from taking them for ones
    that nobody needs.
    """
    taken = sorted(new.registrations, key=lambda each: each.registration_id)
    persons = sorted(new.persons, key=lambda each: each.subject)
    columns = zip(*map(_VALUES, taken), strict=True) if taken else ((),) * len(NAMES)
    row = await connection.fetchrow(
        _WRITE,
        *trail.columns(take_along(connection, trail.write)),
        at,
        len(taken),
        [each.question_id for each in new.questions],
        [each.subject for each in new.questions],
        [each.registration_id for each in new.questions],
        list(new.owners),
        [owner.partner_id for owner in new.owners.values()],
        [owner.since for owner in new.owners.values()],
        [owner.until for owner in new.owners.values()],
        *map(_unless_empty, contacts.columns(persons)),
        [each.subject in new.introduced for each in persons],
        *map(_unless_empty, columns),
    )
    assert row is not None  # noqa: S101 - it counts
    if row["taken"] < len(taken):
        return False
    left = {each.subject for each in persons}.difference(new.introduced, row["added"])
    if left:
        await contacts.fill_all(connection, [each for each in persons if each.subject in left])
    return True


def _unless_empty(column: Sequence[object]) -> Sequence[object] | None:
    """A column; none at all reads as one of nothing but NULL."""
    return None if column.count(None) == len(column) else column


_VALUES = attrgetter(*NAMES)
_WRITE = f"""
    WITH put AS (
        INSERT INTO questions (question_id, subject, registration_id, created_at)
        SELECT *, $8 FROM unnest($10::uuid[], $11::text[], $12::text[])
    ), taken AS (
        INSERT INTO registrations ({COLUMNS}) SELECT * FROM unnest({arrays(NAMES, start=23)})
        ON CONFLICT (registration_id) DO NOTHING RETURNING registration_id
    ), given AS (
        INSERT INTO ownerships (domain, partner_id, since, until)
        SELECT * FROM unnest($13::text[], $14::text[], $15::timestamptz[], $16::timestamptz[])
        ON CONFLICT (domain) DO UPDATE SET
            partner_id = excluded.partner_id, since = excluded.since, until = excluded.until
    ), added AS (
        INSERT INTO contacts (subject, email, given_name, family_name, language, recorded_at)
        SELECT subject, email, given_name, family_name, language, $8
        FROM unnest($17::text[], $18::text[], $19::text[], $20::text[], $21::text[], $22::boolean[])
            AS person (subject, email, given_name, family_name, language, introduced),
            LATERAL (
                SELECT CASE WHEN introduced THEN pg_advisory_xact_lock_shared(hashtextextended(subject, 4)) END
            ) AS kept
        WHERE (SELECT count(*) FROM taken) = $9
        ON CONFLICT DO NOTHING RETURNING subject
    ), {trail.steps(after="(SELECT count(*) FROM added) >= 0")}
    SELECT (SELECT count(*) FROM taken) AS taken, ARRAY(SELECT subject FROM added) AS added, {trail.WAKING}
"""  # noqa: S608 - our own column names
