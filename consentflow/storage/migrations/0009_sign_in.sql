-- Signing in by a mailed link: who asked, who is in, and who the officers are.
-- depends: 0008_digests

-- migrate: apply

-- Somebody asked to be let in. The row goes as soon as it is answered, whether or not the address is known.
CREATE TABLE sign_ins (
    sign_in_id  uuid PRIMARY KEY,
    door        text NOT NULL CHECK (door IN ('partner', 'console')),
    email       text NOT NULL,
    language    text NOT NULL,
    asked_at    timestamptz NOT NULL
);

CREATE TABLE sessions (
    session_sha256  bytea PRIMARY KEY,
    door            text NOT NULL CHECK (door IN ('partner', 'console')),
    subject         text NOT NULL,
    language        text NOT NULL,
    created_at      timestamptz NOT NULL,
    last_used_at    timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL
);
CREATE INDEX sessions_by_subject ON sessions (subject);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE officers (
    subject   text PRIMARY KEY,
    email     text NOT NULL,
    role      text NOT NULL CHECK (role IN ('officer', 'admin')),
    language  text NOT NULL,
    added_at  timestamptz NOT NULL
);

-- A partner's person is whoever registered for it; found without walking over all that was registered.
DROP INDEX registrations_by_registrant;
CREATE INDEX registrations_by_registrant ON registrations (registered_by, partner_id) WHERE registered_by IS NOT NULL;

-- migrate: rollback

DROP INDEX registrations_by_registrant;
CREATE INDEX registrations_by_registrant ON registrations (registered_by) WHERE registered_by IS NOT NULL;
DROP TABLE officers, sessions, sign_ins;
