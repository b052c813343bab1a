-- What officers search and list, newest first, so that a page costs the same whatever the tables hold.
-- depends: 0011_erasure_and_retention

-- migrate: apply

DROP INDEX registrations_by_subject;
CREATE INDEX registrations_by_subject ON registrations (subject, registered_at, registration_id);
DROP INDEX registrations_by_company;
CREATE INDEX registrations_by_company ON registrations (company_domain, registered_at, registration_id)
    WHERE company_domain IS NOT NULL;
CREATE INDEX registrations_made ON registrations (registered_by, registered_at, registration_id)
    WHERE registered_by IS NOT NULL;
DROP INDEX mails_by_subject;
CREATE INDEX mails_by_subject ON mails (subject, frozen_at, mail_id);
CREATE INDEX facts_that_suppress ON facts (recorded_at, fact_id)
    WHERE fact IN ('erased', 'objected', 'complained', 'hard_bounced');

-- What the last look at the whole ledger found. Findings hold no personal data; one row per look, the latest counts.
CREATE TABLE verifications (
    verified_at  timestamptz PRIMARY KEY,
    entries      bigint NOT NULL,
    chains       bigint NOT NULL,
    checkpoints  bigint NOT NULL,
    uncovered    bigint NOT NULL,
    flaws        jsonb NOT NULL
);

-- migrate: rollback

DROP TABLE verifications;
DROP INDEX facts_that_suppress, mails_by_subject, registrations_made, registrations_by_company, registrations_by_subject;
CREATE INDEX mails_by_subject ON mails (subject);
CREATE INDEX registrations_by_company ON registrations (company_domain, partner_id) WHERE company_domain IS NOT NULL;
CREATE INDEX registrations_by_subject ON registrations (subject);
