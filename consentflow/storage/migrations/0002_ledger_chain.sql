-- The ledger as hash chains, signed checkpoints over them, and which mail a link was in.
-- depends: 0001_registrations

-- migrate: apply

-- A chain per subject; entries without a subject form one of their own. The first entry of a chain follows 32 zero bytes.
ALTER TABLE ledger ADD COLUMN previous_hash bytea, ADD COLUMN entry_hash bytea;

-- A text as the hash sees it: one byte for absent or present, its length, its bytes.
CREATE FUNCTION ledger_field(value text) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN value IS NULL THEN '\x00'::bytea
                ELSE '\x01'::bytea || int4send(octet_length(convert_to(value, 'UTF8'))) || convert_to(value, 'UTF8') END
$$;

-- The same encoding stands, written anew, in consentflow/domain/evidence.py. It never changes: a new one gets a new name.
CREATE FUNCTION ledger_hash(
    previous_hash bytea, entry_id bigint, at timestamptz, subject text, registration_id text, event text, detail jsonb
) RETURNS bytea LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT sha256(
        convert_to('consentflow ledger 1', 'UTF8') || previous_hash || int8send(entry_id)
        || int8send((extract(epoch FROM at) * 1000000)::bigint)
        || ledger_field(subject) || ledger_field(registration_id) || ledger_field(event) || ledger_field(detail::text)
    )
$$;

-- The rows that are there become the beginning of their chains.
ALTER TABLE ledger DISABLE TRIGGER USER;
DO $$
DECLARE
    entry record;
    chain text;
    head bytea;
    beginning constant bytea := decode(repeat('00', 32), 'hex');
BEGIN
    FOR entry IN SELECT * FROM ledger ORDER BY subject NULLS FIRST, entry_id LOOP
        IF head IS NULL OR entry.subject IS DISTINCT FROM chain THEN
            chain := entry.subject;
            head := beginning;
        END IF;
        UPDATE ledger SET previous_hash = head, entry_hash = ledger_hash(
            head, entry.entry_id, entry.at, entry.subject, entry.registration_id, entry.event, entry.detail
        ) WHERE entry_id = entry.entry_id
        RETURNING entry_hash INTO head;
    END LOOP;
END
$$;
ALTER TABLE ledger ENABLE TRIGGER USER;
ALTER TABLE ledger ALTER COLUMN previous_hash SET NOT NULL, ALTER COLUMN entry_hash SET NOT NULL;
CREATE INDEX ledger_without_subject ON ledger (entry_id) WHERE subject IS NULL;

-- Numbers are given by the trigger, once it is an entry's turn: in a chain, and across a checkpoint, their order is
-- the order of the entries.
ALTER TABLE ledger ALTER COLUMN entry_id DROP IDENTITY;
CREATE SEQUENCE ledger_entries OWNED BY ledger.entry_id;
SELECT setval('ledger_entries', (SELECT coalesce(max(entry_id), 0) + 1 FROM ledger), false);

-- Links a new entry to the last of its chain, whatever the statement says of number and hashes.
CREATE FUNCTION ledger_links() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    last record;
BEGIN
    -- Another level would not see what was appended while it waited for its turn.
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'the ledger is appended to at the level read committed';
    END IF;
    -- Shared with every writer; a checkpoint takes it for itself for a moment to see a clean cut.
    PERFORM pg_advisory_xact_lock_shared(hashtextextended('cut', 2));
    IF NEW.subject IS NULL THEN
        PERFORM pg_advisory_xact_lock(hashtextextended('no subject', 2));
        SELECT entry_hash INTO last FROM ledger WHERE subject IS NULL ORDER BY entry_id DESC LIMIT 1;
    ELSE
        -- The very lock that lock_subject takes: whoever weighs the subject holds it already and pays nothing more.
        PERFORM pg_advisory_xact_lock(hashtextextended(NEW.subject, 0));
        -- The greatest at or below, in the order of ledger_by_subject: one look into that index, whatever is estimated.
        SELECT nearest.entry_hash INTO last FROM (
            SELECT subject, entry_hash FROM ledger WHERE subject IS NOT NULL AND subject <= NEW.subject
            ORDER BY subject DESC, entry_id DESC LIMIT 1
        ) AS nearest WHERE nearest.subject = NEW.subject;
    END IF;
    NEW.entry_id := nextval('ledger_entries');
    NEW.previous_hash := coalesce(last.entry_hash, decode(repeat('00', 32), 'hex'));
    NEW.entry_hash := ledger_hash(
        NEW.previous_hash, NEW.entry_id, NEW.at, NEW.subject, NEW.registration_id, NEW.event, NEW.detail
    );
    RETURN NEW;
END
$$;
CREATE TRIGGER ledger_chain BEFORE INSERT ON ledger FOR EACH ROW EXECUTE FUNCTION ledger_links();

-- A signed root over the heads of all chains that grew since the one before.
CREATE TABLE checkpoints (
    day            date PRIMARY KEY,
    up_to_entry    bigint NOT NULL,
    previous_root  bytea NOT NULL,
    root           bytea NOT NULL,
    leaf_count     bigint NOT NULL,
    signature      bytea NOT NULL,
    public_key     bytea NOT NULL,
    signed_at      timestamptz NOT NULL
);
CREATE TRIGGER checkpoint_rows_stay BEFORE UPDATE OR DELETE ON checkpoints
    FOR EACH ROW EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER checkpoints_stay BEFORE TRUNCATE ON checkpoints
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();

-- Evidence of consent names the mail whose link was followed.
ALTER TABLE tokens ADD COLUMN mail_id uuid;
UPDATE tokens SET mail_id = asking.mail_id
FROM (SELECT DISTINCT ON (question_id) question_id, mail_id FROM mails WHERE question_id IS NOT NULL
      ORDER BY question_id, frozen_at DESC) AS asking
WHERE tokens.question_id = asking.question_id;

-- migrate: rollback

ALTER TABLE tokens DROP COLUMN mail_id;
DROP TABLE checkpoints;
DROP TRIGGER ledger_chain ON ledger;
DROP FUNCTION ledger_links();
DROP INDEX ledger_without_subject;
DROP SEQUENCE ledger_entries;
ALTER TABLE ledger DROP COLUMN previous_hash, DROP COLUMN entry_hash;
DROP FUNCTION ledger_hash(bytea, bigint, timestamptz, text, text, text, jsonb);
DROP FUNCTION ledger_field(text);
ALTER TABLE ledger ALTER COLUMN entry_id ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(pg_get_serial_sequence('ledger', 'entry_id'), (SELECT coalesce(max(entry_id), 0) + 1 FROM ledger), false);
