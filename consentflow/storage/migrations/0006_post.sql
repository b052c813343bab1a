-- Mails that no registration asks for: to partners' people, to officers, and to whoever asked us something.
-- depends: 0005_bounces

-- migrate: apply

ALTER TABLE mails DROP CONSTRAINT mails_purpose_check,
    ADD CONSTRAINT mails_purpose_check CHECK (purpose IN (
        'double_opt_in', 'notice', 'subscription', 'digest', 'sign_in',
        'source_receipt', 'source_identity', 'source_extension', 'source_decision', 'officer_reminder'
    ));
ALTER TABLE mails ALTER COLUMN registration_id DROP NOT NULL;
-- What such a mail is about; with the purpose it names the mail, so that it is written once however often it is asked for.
ALTER TABLE mails ADD COLUMN about text;
ALTER TABLE mails ADD COLUMN send_until timestamptz;
ALTER TABLE mails ADD CONSTRAINT mails_know_what_they_are_about CHECK ((registration_id IS NULL) = (about IS NOT NULL));
CREATE UNIQUE INDEX mails_once ON mails (purpose, about) WHERE about IS NOT NULL;
DROP INDEX mails_one_in_flight;
CREATE UNIQUE INDEX mails_one_in_flight ON mails (subject, purpose)
    WHERE state IN ('frozen', 'attempting') AND registration_id IS NOT NULL;

-- migrate: rollback

DELETE FROM mails WHERE registration_id IS NULL;
DROP INDEX mails_one_in_flight;
CREATE UNIQUE INDEX mails_one_in_flight ON mails (subject, purpose) WHERE state IN ('frozen', 'attempting');
DROP INDEX mails_once;
ALTER TABLE mails DROP CONSTRAINT mails_know_what_they_are_about, DROP COLUMN send_until, DROP COLUMN about;
ALTER TABLE mails ALTER COLUMN registration_id SET NOT NULL;
ALTER TABLE mails DROP CONSTRAINT mails_purpose_check,
    ADD CONSTRAINT mails_purpose_check CHECK (purpose IN ('double_opt_in', 'notice'));
