-- Mails are stored without the compression that takes longer than all the rest of storing them.
-- depends: 0013_growth

-- migrate: apply

DO $$
BEGIN
    IF (SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression') THEN
        ALTER TABLE mails ALTER COLUMN content SET COMPRESSION lz4;
    ELSE -- a server built without it, such as the embedded one
        ALTER TABLE mails ALTER COLUMN content SET STORAGE EXTERNAL;
    END IF;
END
$$;

-- migrate: rollback

ALTER TABLE mails ALTER COLUMN content SET COMPRESSION default, ALTER COLUMN content SET STORAGE EXTENDED;
