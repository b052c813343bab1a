-- What erasing, the daily sweep and the list of acts walk along, so that none of them ever reads a whole table.
-- depends: 0010_source_requests

-- migrate: apply

-- The instant that its time is counted from, once the sweep has found that somebody still has a use for it.
ALTER TABLE contacts ADD COLUMN counts_from timestamptz;
CREATE INDEX contacts_by_need ON contacts (coalesce(counts_from, recorded_at));

-- What is still there to go, oldest first. A letter that answers a request stays longer than the others.
CREATE INDEX mails_with_bytes ON mails (frozen_at)
    WHERE (content IS NOT NULL OR envelope_to IS NOT NULL) AND purpose NOT IN ('source_decision', 'source_extension');
CREATE INDEX mails_with_answers ON mails (frozen_at)
    WHERE (content IS NOT NULL OR envelope_to IS NOT NULL) AND purpose IN ('source_decision', 'source_extension');
CREATE INDEX registrations_with_texts ON registrations (registered_at)
    WHERE company_name IS NOT NULL OR country_received IS NOT NULL;
CREATE INDEX tokens_of_doors ON tokens (expires_at) WHERE purpose IN ('sign_in', 'identity');
CREATE INDEX sign_ins_by_age ON sign_ins (asked_at);
CREATE INDEX subscribers_unconfirmed ON subscribers (created_at) WHERE state = 'pending';
CREATE INDEX digests_by_age ON digests (closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX events_by_age ON events (recorded_at);
CREATE INDEX source_requests_with_texts ON source_requests (closed_at)
    WHERE closed_at IS NOT NULL AND (name IS NOT NULL OR message IS NOT NULL);
CREATE INDEX source_requests_with_persons ON source_requests (closed_at)
    WHERE closed_at IS NOT NULL AND email IS NOT NULL;

-- Who looked at, decided, handed out or erased what: the entries that name an actor, by every filter of the list.
CREATE INDEX ledger_acts ON ledger (at, entry_id) WHERE detail ? 'actor';
CREATE INDEX ledger_acts_by_actor ON ledger ((detail ->> 'actor'), at, entry_id) WHERE detail ? 'actor';
CREATE INDEX ledger_acts_by_kind ON ledger ((detail ->> 'act'), at, entry_id) WHERE detail ? 'actor';
CREATE INDEX ledger_acts_by_actor_and_kind ON ledger ((detail ->> 'actor'), (detail ->> 'act'), at, entry_id)
    WHERE detail ? 'actor';
CREATE INDEX ledger_acts_by_subject ON ledger (subject, at, entry_id) WHERE detail ? 'actor' AND subject IS NOT NULL;

-- migrate: rollback

DROP INDEX ledger_acts_by_subject, ledger_acts_by_actor_and_kind, ledger_acts_by_kind, ledger_acts_by_actor, ledger_acts;
DROP INDEX source_requests_with_persons, source_requests_with_texts, events_by_age, digests_by_age;
DROP INDEX subscribers_unconfirmed, sign_ins_by_age, tokens_of_doors, registrations_with_texts;
DROP INDEX mails_with_answers, mails_with_bytes, contacts_by_need;
ALTER TABLE contacts DROP COLUMN counts_from;
