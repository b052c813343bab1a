-- What sending a double opt-in and weighing a question walk along, however many links and mails there are.
-- depends: 0012_console

-- migrate: apply

CREATE INDEX tokens_by_question ON tokens (question_id) WHERE question_id IS NOT NULL;
CREATE INDEX mails_asking ON mails (question_id) WHERE state = 'attempting' AND question_id IS NOT NULL;

-- migrate: rollback

DROP INDEX mails_asking, tokens_by_question;
