-- Links to a lead's own choices: what holds, the language of mails, withdrawing and objecting.
-- depends: 0003_mail_fault

-- migrate: apply

ALTER TABLE tokens DROP CONSTRAINT tokens_purpose_check,
    ADD CONSTRAINT tokens_purpose_check CHECK (purpose IN ('confirm', 'unsubscribe', 'preferences'));

-- migrate: rollback

DELETE FROM tokens WHERE purpose = 'preferences';
ALTER TABLE tokens DROP CONSTRAINT tokens_purpose_check,
    ADD CONSTRAINT tokens_purpose_check CHECK (purpose IN ('confirm', 'unsubscribe'));
