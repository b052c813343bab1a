-- Bounces and complaints find their mail; registering persons are found by their pseudonym.
-- depends: 0001_registrations

-- migrate: apply

ALTER TABLE mails ADD COLUMN bounced_at timestamptz;
ALTER TABLE mails ADD COLUMN bounce_status text;
ALTER TABLE mails ADD COLUMN soft_bounces integer NOT NULL DEFAULT 0;
CREATE INDEX mails_by_bounce_address ON mails (lower(envelope_from)) WHERE envelope_from LIKE 'b-%';
CREATE INDEX registrations_by_registrant ON registrations (registered_by) WHERE registered_by IS NOT NULL;

-- migrate: rollback

DROP INDEX registrations_by_registrant;
DROP INDEX mails_by_bounce_address;
ALTER TABLE mails DROP COLUMN soft_bounces;
ALTER TABLE mails DROP COLUMN bounce_status;
ALTER TABLE mails DROP COLUMN bounced_at;
