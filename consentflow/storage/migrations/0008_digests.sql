-- Notifications that are being collected, and what each subscriber has been told.
-- depends: 0007_partners

-- migrate: apply

-- The revision grows whenever the due time is moved: of the workflows that were started for it the latest tells.
CREATE TABLE digests (
    digest_id      uuid PRIMARY KEY,
    subscriber_id  uuid NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    opened_at      timestamptz NOT NULL,
    due_at         timestamptz NOT NULL,
    revision       integer NOT NULL DEFAULT 0,
    closed_at      timestamptz,
    mail_id        uuid
);
CREATE UNIQUE INDEX digests_one_open ON digests (subscriber_id) WHERE closed_at IS NULL;
CREATE INDEX digests_due ON digests (due_at) WHERE closed_at IS NULL;
CREATE INDEX digests_by_subscriber ON digests (subscriber_id);
CREATE INDEX digests_by_mail ON digests (mail_id) WHERE mail_id IS NOT NULL;

-- What a digest counted; what is more than all of them together is still to be told.
CREATE TABLE told (
    subscriber_id  uuid NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    hour           timestamptz NOT NULL,
    domain         text NOT NULL,
    action         text NOT NULL,
    digest_id      uuid NOT NULL,
    count          bigint NOT NULL CHECK (count > 0),
    PRIMARY KEY (subscriber_id, hour, domain, action, digest_id)
);
CREATE INDEX told_by_digest ON told (digest_id);
CREATE INDEX told_by_age ON told (hour);

-- What is to leave by itself: few, however many mails there have been.
CREATE INDEX mails_to_leave ON mails (mail_id)
    WHERE state IN ('frozen', 'attempting') AND registration_id IS NULL;

-- migrate: rollback

DROP INDEX mails_to_leave;
DROP TABLE told, digests;
