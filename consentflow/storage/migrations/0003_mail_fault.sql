-- The mail server refuses our own set-up: one row while it does.
-- depends: 0001_registrations

-- migrate: apply

CREATE TABLE mail_fault (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    fault      text NOT NULL,
    since      timestamptz NOT NULL,
    last_seen  timestamptz NOT NULL
);

-- migrate: rollback

DROP TABLE mail_fault;
