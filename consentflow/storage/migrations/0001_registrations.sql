-- Registrations, the people in them, what is on record, mails, the outbox and the ledger.
-- depends:

-- migrate: apply

-- The one table of personal data. Everything else refers to a subject: a keyed hash of the mailbox.
CREATE TABLE contacts (
    subject      text PRIMARY KEY,
    email        text NOT NULL,
    given_name   text,
    family_name  text,
    language     text,
    recorded_at  timestamptz NOT NULL
);

CREATE TABLE accounts (
    domain      text PRIMARY KEY,
    status      text NOT NULL CHECK (status IN ('available', 'customer', 'in_sales_process', 'owned_by_representative')),
    updated_at  timestamptz NOT NULL
);

CREATE TABLE ownerships (
    domain      text PRIMARY KEY,
    partner_id  text NOT NULL,
    since       timestamptz NOT NULL,
    until       timestamptz NOT NULL
);
CREATE INDEX ownerships_by_partner ON ownerships (partner_id, domain);

-- A double opt-in: one question per mailbox at a time, whatever number of registrations share it.
CREATE TABLE questions (
    question_id      uuid PRIMARY KEY,
    subject          text NOT NULL,
    registration_id  text NOT NULL,
    outcome          text CHECK (outcome IN ('confirmed', 'lapsed', 'suppressed', 'undeliverable', 'dropped')),
    created_at       timestamptz NOT NULL,
    asked_at         timestamptz,
    answer_until     timestamptz,
    closed_at        timestamptz,
    CHECK ((asked_at IS NULL) = (answer_until IS NULL)),
    CHECK ((outcome IS NULL) = (closed_at IS NULL))
);
CREATE UNIQUE INDEX questions_one_open ON questions (subject) WHERE outcome IS NULL;
CREATE INDEX questions_closing ON questions (answer_until) WHERE outcome IS NULL;

CREATE TABLE registrations (
    registration_id   text PRIMARY KEY,
    kind              text NOT NULL CHECK (kind IN ('lead', 'deal')),
    partner_id        text NOT NULL,
    registered_by     text,
    subject           text NOT NULL,
    company_name      text,
    company_domain    text,
    company_refusal   text,
    country           text,
    country_received  text,
    regime            text NOT NULL,
    reason            text NOT NULL,
    state             text NOT NULL,
    registered_at     timestamptz NOT NULL,
    accepted_at       timestamptz NOT NULL,
    due_at            timestamptz,
    policy_version    text NOT NULL,
    revision          integer NOT NULL,
    question_id       uuid REFERENCES questions,
    fingerprint       bytea NOT NULL
);
CREATE INDEX registrations_by_subject ON registrations (subject);
CREATE INDEX registrations_by_question ON registrations (question_id) WHERE question_id IS NOT NULL;
CREATE INDEX registrations_by_company ON registrations (company_domain, partner_id) WHERE company_domain IS NOT NULL;
CREATE INDEX registrations_due ON registrations (due_at) WHERE state IN ('accepted', 'waiting');

CREATE TABLE facts (
    fact_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject      text NOT NULL,
    fact         text NOT NULL,
    occurred_at  timestamptz NOT NULL,
    recorded_at  timestamptz NOT NULL
);
CREATE INDEX facts_by_subject ON facts (subject, fact);

-- Events already seen, so that a repeated one changes nothing.
CREATE TABLE events (
    source       text NOT NULL,
    event_id     text NOT NULL,
    type         text NOT NULL,
    recorded_at  timestamptz NOT NULL,
    PRIMARY KEY (source, event_id)
);

-- Mails as they leave. Recipient and bytes are personal data too: both are nulled when the contact is erased.
CREATE TABLE mails (
    mail_id          uuid PRIMARY KEY,
    purpose          text NOT NULL CHECK (purpose IN ('double_opt_in', 'notice')),
    subject          text NOT NULL,
    registration_id  text NOT NULL,
    question_id      uuid REFERENCES questions,
    state            text NOT NULL CHECK (state IN ('frozen', 'attempting', 'accepted', 'unsure', 'refused', 'dropped')),
    attempts         integer NOT NULL DEFAULT 0,
    unsure_attempts  integer NOT NULL DEFAULT 0,
    message_id       text NOT NULL,
    envelope_from    text NOT NULL,
    envelope_to      text,
    content          bytea,
    content_sha256   bytea NOT NULL,
    language         text NOT NULL,
    text_version     text NOT NULL,
    frozen_at        timestamptz NOT NULL,
    closed_at        timestamptz,
    reply            text
);
-- One mail per purpose and mailbox may be on its way.
CREATE UNIQUE INDEX mails_one_in_flight ON mails (subject, purpose) WHERE state IN ('frozen', 'attempting');
CREATE INDEX mails_by_registration ON mails (registration_id);
CREATE INDEX mails_by_subject ON mails (subject);

-- Links in mails: only the SHA-256 of a token is kept, bound to one purpose.
CREATE TABLE tokens (
    token_sha256  bytea PRIMARY KEY,
    purpose       text NOT NULL CHECK (purpose IN ('confirm', 'unsubscribe')),
    subject       text NOT NULL,
    question_id   uuid REFERENCES questions,
    language      text NOT NULL,
    expires_at    timestamptz NOT NULL,
    used_at       timestamptz
);
CREATE INDEX tokens_by_subject ON tokens (subject);
CREATE INDEX tokens_by_expiry ON tokens (expires_at);

CREATE TABLE api_keys (
    key_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL UNIQUE,
    role        text NOT NULL CHECK (role IN ('registrar', 'tracker', 'officer', 'admin')),
    key_sha256  bytea NOT NULL UNIQUE,
    created_at  timestamptz NOT NULL,
    revoked_at  timestamptz
);

-- What the engine must hear of; a row lives until Temporal has taken it.
CREATE TABLE outbox (
    outbox_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic       text NOT NULL,
    payload     jsonb NOT NULL,
    written_at  timestamptz NOT NULL DEFAULT now(),
    ready_at    timestamptz NOT NULL DEFAULT now(),
    attempts    integer NOT NULL DEFAULT 0
);
CREATE INDEX outbox_ready ON outbox (ready_at, outbox_id);

-- The evidence: pseudonymous, append-only.
CREATE TABLE ledger (
    entry_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at               timestamptz NOT NULL,
    subject          text,
    registration_id  text,
    event            text NOT NULL,
    detail           jsonb NOT NULL
);
CREATE INDEX ledger_by_subject ON ledger (subject, entry_id) WHERE subject IS NOT NULL;
CREATE INDEX ledger_by_registration ON ledger (registration_id, entry_id) WHERE registration_id IS NOT NULL;

CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only';
END
$$;
CREATE TRIGGER ledger_rows_stay BEFORE UPDATE OR DELETE ON ledger
    FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER ledger_stays BEFORE TRUNCATE ON ledger
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

-- migrate: rollback

DROP TABLE ledger, outbox, api_keys, tokens, mails, events, facts, registrations, questions, ownerships, accounts, contacts;
DROP FUNCTION ledger_is_append_only();
