-- Notifications that are being collected, and what each subscriber has been told.
-- depends: 0007_partners

-- migrate: apply

CREATE TABLE digests (
    digest_id      uuid PRIMARY KEY,
    subscriber_id  uuid NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    opened_at      timestamptz NOT NULL,
    due_at         timestamptz NOT NULL,
    closed_at      timestamptz,
    mail_id        uuid
);
CREATE UNIQUE INDEX digests_one_open ON digests (subscriber_id) WHERE closed_at IS NULL;
CREATE INDEX digests_due ON digests (due_at) WHERE closed_at IS NULL;

CREATE TABLE told (
    subscriber_id  uuid NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    domain         text NOT NULL,
    action         text NOT NULL,
    hour           timestamptz NOT NULL,
    count          bigint NOT NULL,
    PRIMARY KEY (subscriber_id, domain, action, hour)
);
CREATE INDEX told_by_age ON told (hour);

-- migrate: rollback

DROP TABLE told, digests;
