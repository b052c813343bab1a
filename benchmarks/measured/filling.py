"""A database as after years of use, made by Postgres itself: as many registrations as one likes.

Everything else follows from their number: people, mails, links, evidence, companies and what they did, requests. A
fifth of the registrations are of the last thirty days, the others of the three years before; what an ordinary person,
company or partner has does not grow with the number. What grows are `REGISTRANT`, `BIG_COMPANY` and `BIG_PARTNER`.

The hashes of the ledger are invented: it can be appended to and does not verify.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import md5
from uuid import UUID

import asyncpg

from consentflow.domain.addresses import Subject

BIG_COMPANY = "big.example"
"""At which a twentieth of all contacts work."""

BIG_PARTNER = "p-big"
"""Owns a twentieth of all companies."""


def person(number: int) -> Subject:
    """Whom registration `number` is about."""
    return Subject(f"s-{_md5(f'person {number - 5 if number % 10 == 9 else number}')}")  # noqa: PLR2004 - see _LIVES


def registrant(number: int) -> Subject:
    """Who made registrations; the pseudonym of somebody who works for partners."""
    return Subject(f"s-{_md5(f'registrant {number}')}")


def mail_id(number: int) -> UUID:
    """The letter of registration `number`, if it sent one."""
    return UUID(_md5(f"mail {number}"))


def question_id(number: int) -> UUID:
    """The question of registration `number`, if it asks one."""
    return UUID(_md5(f"question {number}"))


def subscriber_id(number: int) -> UUID:
    """The subscriber of that number; there is one for fifty registrations."""
    return UUID(_md5(f"subscriber {number}"))


def digest_id(number: int, of_subscriber: int) -> UUID:
    """The digest of a subscriber: 0 is being collected and due, 1 to 12 were told."""
    return UUID(_md5(f"digest {of_subscriber} {number}"))


def _md5(text: str) -> str:
    return md5(text.encode(), usedforsecurity=False).hexdigest()


REGISTRANT = registrant(0)
"""Has made a twentieth of all registrations."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What is in a filled database.

    Args:
        number: Of registrations, numbered from 1, the oldest first.
        now: When the last of them was made, UTC.
    """

    number: int
    now: datetime

    @property
    def companies(self) -> int:
        """How many companies there are beside the big one."""
        return self.number * 2 // 5

    @property
    def partners(self) -> int:
        """How many partners there are beside the big one."""
        return self.number // 200

    @property
    def subscribers(self) -> int:
        """How many subscribers there are, numbered from 0."""
        return self.number // 50


_LIVES = """
    CREATE TEMP TABLE lives AS
    WITH numbered AS (
        SELECT n, n::float8 / {number} AS share, n % ({number} * 2 / 5) AS company
        FROM generate_series(1, {number}) AS n
    ), placed AS (
        SELECT n, company, timestamptz '{now}' - CASE
            WHEN share > 0.8 THEN (1 - share) * 150 * interval '1 day'
            ELSE interval '30 days' + (0.8 - share) / 0.8 * 1065 * interval '1 day' END AS at
        FROM numbered
    ), decided AS (
        SELECT *, at > timestamptz '{now}' - interval '30 days' AS recent,
            CASE WHEN n % 10 < 3 THEN 'double_opt_in' WHEN n % 10 < 8 THEN 'delayed_notice' ELSE 'no_contact' END
                AS regime
        FROM placed
    )
    SELECT n, company, at, recent, regime, regime || '_region' AS reason, 'r-' || n AS registration_id,
        's-' || md5('person ' || CASE WHEN n % 10 = 9 THEN n - 5 ELSE n END) AS subject,
        's-' || md5('registrant ' || CASE WHEN n % 20 = 0 THEN 0 ELSE 1 + n % ({number} / 50) END) AS registered_by,
        CASE WHEN n % 20 = 1 THEN 'big.example' ELSE 'company-' || company || '.example' END AS domain,
        CASE WHEN company % 20 = 2 OR n % 20 = 1 THEN 'p-big' ELSE 'p-' || company % ({number} / 200) END AS partner_id,
        md5('question ' || n)::uuid AS question_id, md5('mail ' || n)::uuid AS mail_id,
        CASE
            WHEN n % 50 = 13 THEN 'suppressed'
            WHEN regime = 'no_contact' THEN 'no_contact'
            WHEN regime = 'double_opt_in' THEN CASE
                WHEN n > {number} - 200 THEN 'accepted'
                WHEN recent AND n % 3 < 2 THEN 'awaiting_confirmation'
                WHEN n % 4 < 2 THEN 'confirmed' ELSE 'lapsed' END
            WHEN n % 4 = 0 THEN 'satisfied'
            WHEN recent THEN 'waiting'
            ELSE 'notified' END AS state
    FROM decided;
    ANALYZE lives
"""

_REGISTRATIONS = """
    INSERT INTO questions (
        question_id, subject, registration_id, outcome, created_at, asked_at, answer_until, closed_at
    )
    SELECT question_id, subject, registration_id, CASE WHEN state IN ('confirmed', 'lapsed') THEN state END, at,
        CASE WHEN state <> 'accepted' THEN at END, CASE WHEN state <> 'accepted' THEN at + interval '30 days' END,
        CASE WHEN state IN ('confirmed', 'lapsed') THEN at + interval '1 day' END
    FROM lives WHERE state IN ('accepted', 'awaiting_confirmation', 'confirmed', 'lapsed');

    INSERT INTO registrations (
        registration_id, kind, partner_id, registered_by, subject, company_name, company_domain, country,
        country_received, regime, reason, state, registered_at, accepted_at, due_at, policy_version, revision,
        question_id, fingerprint
    )
    SELECT registration_id, 'lead', partner_id, registered_by, subject, 'Company ' || company, domain,
        (ARRAY['DE', 'FR', 'US'])[CASE regime WHEN 'double_opt_in' THEN 1 WHEN 'delayed_notice' THEN 2 ELSE 3 END],
        'as received', regime, reason, state, at, at,
        CASE WHEN state = 'accepted' THEN at WHEN regime = 'delayed_notice' THEN at + interval '30 days' END,
        'filled', 1, CASE WHEN regime = 'double_opt_in' AND state <> 'suppressed' THEN question_id END, '\\x00'
    FROM lives ORDER BY n;

    INSERT INTO contacts (subject, email, given_name, family_name, language, recorded_at)
    SELECT subject, 'lead' || n || '@' || domain, 'Lea', 'Muster', 'de', at FROM lives
    WHERE state NOT IN ('lapsed', 'suppressed') ORDER BY n ON CONFLICT DO NOTHING;
    INSERT INTO contacts (subject, email, recorded_at)
    SELECT 's-' || md5('registrant ' || n), 'person' || n || '@partner.example',
        timestamptz '{now}' - interval '3 years'
    FROM generate_series(0, {number} / 50) AS n;

    INSERT INTO facts (subject, fact, occurred_at, recorded_at)
    SELECT subject, CASE state WHEN 'confirmed' THEN 'confirmed' WHEN 'notified' THEN 'notice_sent'
                               WHEN 'satisfied' THEN 'form_submitted' ELSE 'objected' END, at, at
    FROM lives WHERE state IN ('confirmed', 'notified', 'satisfied', 'suppressed') ORDER BY n;
"""

_MAILS = """
    INSERT INTO mails (
        mail_id, purpose, subject, registration_id, question_id, state, attempts, message_id, envelope_from,
        envelope_to, content, content_sha256, language, text_version, frozen_at, closed_at
    )
    SELECT mail_id, CASE regime WHEN 'double_opt_in' THEN 'double_opt_in' ELSE 'notice' END, subject, registration_id,
        CASE regime WHEN 'double_opt_in' THEN question_id END,
        CASE state WHEN 'accepted' THEN 'frozen' ELSE 'accepted' END,
        CASE state WHEN 'accepted' THEN 0 ELSE 1 END, '<' || mail_id || '@sender.example>',
        'b-' || md5('bounce ' || n) || '@sender.example',
        CASE WHEN state <> 'lapsed' THEN 'lead@company.example' END,
        CASE WHEN state <> 'lapsed' THEN convert_to(repeat('a line of a letter ', 20), 'UTF8') END,
        '\\x00', 'de', 'filled', sent, CASE WHEN state <> 'accepted' THEN sent END
    FROM lives, LATERAL (SELECT CASE state WHEN 'notified' THEN at + interval '30 days' ELSE at END AS sent) AS sending
    WHERE state IN ('accepted', 'awaiting_confirmation', 'confirmed', 'lapsed', 'notified') ORDER BY n;

    INSERT INTO tokens (token_sha256, purpose, subject, question_id, language, expires_at, used_at, mail_id)
    SELECT sha256(convert_to('confirm-' || n, 'UTF8')), 'confirm', subject, question_id, 'de', at + interval '30 days',
        CASE state WHEN 'confirmed' THEN at END, mail_id
    FROM lives WHERE state IN ('accepted', 'awaiting_confirmation', 'confirmed', 'lapsed') ORDER BY n;
    INSERT INTO tokens (token_sha256, purpose, subject, language, expires_at, mail_id)
    SELECT sha256(convert_to('unsubscribe-' || n, 'UTF8')), 'unsubscribe', subject, 'de', at + interval '2 years',
        mail_id
    FROM lives WHERE state IN ('accepted', 'awaiting_confirmation', 'confirmed', 'lapsed', 'notified') ORDER BY n;
    INSERT INTO tokens (token_sha256, purpose, subject, language, expires_at, used_at, about)
    SELECT sha256(convert_to('sign_in-' || n, 'UTF8')), 'sign_in', registered_by, 'de', at + interval '20 minutes',
        at, 'partner ' || n
    FROM lives WHERE n % 50 = 0 ORDER BY n;

    INSERT INTO mails (mail_id, purpose, subject, about, state, message_id, envelope_from, content_sha256, language,
                       text_version, frozen_at, closed_at)
    SELECT md5('sign_in ' || n)::uuid, 'sign_in', registered_by, 'sign-in/' || n, 'accepted',
        '<' || n || '@sign-in.example>', 'x@sender.example', '\\x00', 'de', 'filled', at, at
    FROM lives WHERE n % 50 = 0 ORDER BY n;
"""

_LEDGER = """
    INSERT INTO ledger (entry_id, at, subject, registration_id, event, detail, previous_hash, entry_hash)
    SELECT n * 6 + step, at + step * interval '1 second',
        CASE WHEN step < 5 THEN subject END, CASE WHEN step < 4 THEN registration_id END,
        (ARRAY['decided', 'mail_frozen', 'mail_accepted', 'consent_given', 'viewed', 'account_status'])[step + 1],
        CASE step
            WHEN 0 THEN jsonb_build_object(
                'state', state, 'regime', regime, 'reason', reason, 'policy_version', 'filled'
            )
            WHEN 4 THEN jsonb_build_object(
                'actor', 'officer ' || n % 7, 'act', (ARRAY['viewed', 'exported'])[1 + n % 2],
                'what', 'registration ' || registration_id
            )
            WHEN 5 THEN jsonb_build_object('domain', domain, 'status', 'customer')
            ELSE jsonb_build_object('mail_id', mail_id, 'question_id', question_id) END,
        CASE step WHEN 0 THEN decode(repeat('00', 32), 'hex') ELSE sha256(int8send(n * 6 + step - 1)) END,
        sha256(int8send(n * 6 + step))
    FROM lives, generate_series(0, 5) AS step
    WHERE step < 4 OR step = 4 AND n % 5 = 0 OR step = 5 AND n % 20 = 0 ORDER BY n, step;
    SELECT setval('ledger_entries', {number}::bigint * 6 + 10);

    INSERT INTO checkpoints (day, up_to_entry, previous_root, root, leaf_count, signature, public_key, signed_at)
    SELECT date '{now}' - age, ({number} - {number}::bigint * age / 1000) * 6, '\\x00', '\\x00', 1, '\\x00', '\\x00',
        timestamptz '{now}' - age * interval '1 day'
    FROM generate_series(1, 999) AS age;
    INSERT INTO verifications (verified_at, entries, chains, checkpoints, uncovered, flaws)
    SELECT timestamptz '{now}' - age * interval '1 week', 1, 1, 1, 0, '[]' FROM generate_series(1, 100) AS age;
"""

_COMPANIES = """
    INSERT INTO partners (partner_id, name, language, time_zone, updated_at)
    SELECT 'p-' || n, 'Partner ' || n, 'de', 'Europe/Berlin', timestamptz '{now}'
    FROM generate_series(0, {number} / 200 - 1) AS n;
    INSERT INTO accounts (domain, status, updated_at)
    SELECT 'company-' || n || '.example', 'available', timestamptz '{now}' FROM generate_series(0, {number} / 2) AS n;
    INSERT INTO ownerships (domain, partner_id, since, until)
    SELECT domain, min(partner_id), max(at), max(at) + interval '6 months' FROM lives GROUP BY domain;

    INSERT INTO company_actions (partner_id, domain, action, hour, count)
    SELECT CASE WHEN company % 20 = 2 THEN 'p-big' ELSE 'p-' || company % ({number} / 200) END,
        'company-' || company || '.example',
        (ARRAY['trial_requested', 'demo_requested', 'pricing_viewed', 'content_viewed', 'content_downloaded'])
            [1 + n % 5],
        date_trunc('hour', timestamptz '{now}' - n * interval '540 days' / {number}, 'UTC'), 1
    FROM generate_series(1, {number}) AS n, LATERAL (SELECT n * 7 % ({number} * 2 / 5) AS company) AS companies
    ON CONFLICT DO NOTHING;
    INSERT INTO credits (partner_id, domain, amount, currency, purchased_on, recorded_at, source, event_id)
    SELECT partner_id, domain, 99, 'EUR', at::date, date_trunc('hour', at, 'UTC'), 'shop', 'purchase-' || n
    FROM lives WHERE n % 4 = 0 ORDER BY n;
    INSERT INTO events (source, event_id, type, recorded_at)
    SELECT 'site', 'event-' || md5(n::text), 'company.pricing_viewed', date_trunc('hour', at, 'UTC')
    FROM lives ORDER BY n;
"""

_SUBSCRIBERS = """
    INSERT INTO subscribers (subscriber_id, partner_id, kind, subject, email, delivery, state, since, created_at)
    SELECT md5('subscriber ' || n)::uuid,
        CASE WHEN n % 100 = 99 THEN 'p-big' ELSE 'p-' || n % ({number} / 200) END,
        CASE WHEN n % 10 = 5 THEN 'growth_specialist' ELSE 'partner' END,
        's-' || md5('registrant ' || n), 'person' || n || '@partner.example',
        (ARRAY['immediate', 'daily', 'weekly'])[1 + n % 3],
        CASE WHEN n % 20 = 3 THEN 'pending' ELSE 'active' END,
        CASE WHEN n % 20 <> 3 THEN timestamptz '{now}' - interval '1 year' END,
        timestamptz '{now}' - (n % 365) * interval '1 day'
    FROM generate_series(0, {number} / 50 - 1) AS n;
    INSERT INTO specialist_companies (subscriber_id, domain)
    SELECT md5('subscriber ' || n)::uuid, 'company-' || (n % ({number} / 200)) + place * ({number} / 200) || '.example'
    FROM generate_series(5, {number} / 50 - 1, 10) AS n, generate_series(0, 19) AS place;

    INSERT INTO digests (digest_id, subscriber_id, opened_at, due_at, closed_at, mail_id)
    SELECT md5('digest ' || n || ' ' || age)::uuid, md5('subscriber ' || n)::uuid, due - interval '1 day', due,
        CASE WHEN age > 0 THEN due END, CASE WHEN age > 0 THEN md5('digest mail ' || n || ' ' || age)::uuid END
    FROM generate_series(0, {number} / 50 - 1) AS n, generate_series(0, 12) AS age,
        LATERAL (SELECT timestamptz '{now}' - age * interval '30 days' - interval '1 minute' AS due) AS times
    WHERE n % 20 <> 3;
    INSERT INTO mails (mail_id, purpose, subject, about, state, message_id, envelope_from, content_sha256, language,
                       text_version, frozen_at, closed_at)
    SELECT mail_id, 'digest', subject, 'digest/' || digest_id, 'accepted', '<' || mail_id || '@digest.example>',
        'b-' || md5('bounce ' || mail_id) || '@sender.example', '\\x00', 'de', 'filled', closed_at, closed_at
    FROM digests JOIN subscribers USING (subscriber_id) WHERE mail_id IS NOT NULL;
    INSERT INTO told (subscriber_id, hour, domain, action, digest_id, count)
    SELECT subscriber_id, hour, domain, action, md5('digest ' || n || ' ' || 1 + n % 12)::uuid, count
    FROM generate_series(0, {number} / 200 - 1) AS n
    JOIN company_actions ON partner_id = 'p-' || n
    CROSS JOIN LATERAL (SELECT md5('subscriber ' || n)::uuid AS subscriber_id) AS told_to
    WHERE hour < timestamptz '{now}' - interval '7 days';
"""

_PEOPLE = """
    INSERT INTO source_requests (
        request_id, subject, email, name, message, language, channel, state, received_at, opened_at, target, deadline,
        decision, extent, balancing, decided_by, closed_at, linked_to, version, next_step_at
    )
    SELECT 'sr-' || n, 's-' || md5('person ' || n * 5), 'lead@company.example', 'Lea Muster', 'Where from?', 'de',
        'form', CASE WHEN open THEN 'in_review' ELSE 'disclosed' END, opened, opened, opened + interval '28 days',
        opened + interval '1 month', CASE WHEN NOT open THEN 'disclose' END, CASE WHEN NOT open THEN 'person' END,
        CASE WHEN NOT open AND n % 2 = 0 THEN 'Weighed.' END,
        CASE WHEN NOT open THEN 'officer 1' END, CASE WHEN NOT open THEN opened + interval '5 days' END,
        CASE WHEN n % 50 = 1 AND n > 1 THEN 'sr-' || n - 1 END, 1,
        CASE WHEN open THEN timestamptz '{now}' + n % 20 * interval '1 day' END
    FROM generate_series(1, {number} / 5) AS n, LATERAL (
        SELECT n % 100 = 0 AS open, timestamptz '{now}' - CASE WHEN n % 100 = 0 THEN n % 28 * interval '1 day'
            ELSE interval '6 days' + ({number} / 5 - n) * interval '6 years' / ({number} / 5) END AS opened
    ) AS stage;
    INSERT INTO mails (mail_id, purpose, subject, about, state, message_id, envelope_from, envelope_to, content,
                       content_sha256, language, text_version, frozen_at, closed_at)
    SELECT md5(purpose || request_id)::uuid, purpose, subject, 'source-request/' || request_id, 'accepted',
        '<' || purpose || request_id || '@source.example>', 'x@sender.example', email, '\\x00', '\\x00', 'de', 'filled',
        opened_at, opened_at
    FROM source_requests, unnest(ARRAY['source_receipt', 'source_decision']) AS purpose
    WHERE purpose = 'source_receipt' OR closed_at IS NOT NULL;
    INSERT INTO sessions (session_sha256, door, subject, language, created_at, last_used_at, expires_at)
    SELECT sha256(convert_to('session-' || n, 'UTF8')), 'partner', registered_by, 'de', at, at, at + interval '1 day'
    FROM lives WHERE n % 20 = 7 ORDER BY n;
    INSERT INTO sign_ins (sign_in_id, door, email, language, asked_at)
    SELECT md5('sign-in ' || n)::uuid, 'partner', 'person' || n || '@partner.example', 'de', timestamptz '{now}'
    FROM generate_series(1, 20) AS n;
    INSERT INTO officers (subject, email, role, language, added_at)
    SELECT 's-' || md5('officer ' || n), 'officer' || n || '@controller.example', 'officer', 'de', timestamptz '{now}'
    FROM generate_series(0, 9) AS n;
    INSERT INTO api_keys (name, role, key_sha256, created_at)
    SELECT 'key-' || n, 'registrar', sha256(convert_to('key-' || n, 'UTF8')), timestamptz '{now}'
    FROM generate_series(0, 19) AS n;
    INSERT INTO mail_fault (fault, since, last_seen) VALUES ('auth 535 5.7.8', '{now}', '{now}');
    INSERT INTO outbox (topic, payload)
    SELECT 'registration.start', jsonb_build_object('registration_id', 'r-' || n) FROM generate_series(1, 50) AS n;
"""


async def fill(url: str, number: int, now: datetime) -> Filled:
    """Fills a migrated, empty database with `number` registrations and all that belongs to them, and ANALYZEs it.

    Args:
        number: A multiple of 1000, at least 10 000.
        now: When the last registration is made.
    """
    connection = await asyncpg.connect(url, timeout=60)
    try:
        # Neither triggers nor foreign keys, and every index built at once: minutes become seconds.
        await connection.execute(
            "SET session_replication_role = replica; SET synchronous_commit = off; SET maintenance_work_mem = '256MB'; "
            "SET work_mem = '64MB'; SET timezone = 'UTC'"
        )
        indexes = await connection.fetch(
            """
            SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition
            FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
            WHERE relnamespace = 'public'::regnamespace AND NOT indisunique
            """
        )
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['name']}")
        for statements in (_LIVES, _REGISTRATIONS, _MAILS, _LEDGER, _COMPANIES, _SUBSCRIBERS, _PEOPLE):
            await connection.execute(statements.format(number=number, now=now.isoformat()))
        for index in indexes:
            await connection.execute(index["definition"])
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()
    return Filled(number, now)
