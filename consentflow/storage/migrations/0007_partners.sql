-- Partners and who of them is told what their companies do; what the companies did; what purchases credit.
-- depends: 0006_post

-- migrate: apply

CREATE TABLE partners (
    partner_id  text PRIMARY KEY,
    name        text NOT NULL,
    language    text NOT NULL,
    time_zone   text NOT NULL,
    updated_at  timestamptz NOT NULL
);

-- The address belongs to the role of subscriber: it goes when its owner leaves, whatever becomes of it elsewhere.
CREATE TABLE subscribers (
    subscriber_id  uuid PRIMARY KEY,
    partner_id     text NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('partner', 'growth_specialist')),
    subject        text NOT NULL,
    email          text NOT NULL,
    language       text,
    actions        text[],
    delivery       text NOT NULL CHECK (delivery IN ('immediate', 'daily', 'weekly')),
    hour           smallint NOT NULL DEFAULT 8 CHECK (hour BETWEEN 0 AND 23),
    weekday        smallint NOT NULL DEFAULT 0 CHECK (weekday BETWEEN 0 AND 6),
    state          text NOT NULL CHECK (state IN ('pending', 'active', 'paused')),
    since          timestamptz,
    created_at     timestamptz NOT NULL,
    UNIQUE (partner_id, subject)
);
CREATE INDEX subscribers_by_subject ON subscribers (subject);

-- A growth specialist of the vendor is told about the companies of the deals that name it.
CREATE TABLE specialist_companies (
    subscriber_id  uuid NOT NULL REFERENCES subscribers ON DELETE CASCADE,
    domain         text NOT NULL,
    PRIMARY KEY (subscriber_id, domain)
);

-- What companies did while a partner owned them: by the hour, without an address, an event or an exact time.
CREATE TABLE company_actions (
    partner_id  text NOT NULL,
    domain      text NOT NULL,
    action      text NOT NULL,
    hour        timestamptz NOT NULL,
    count       bigint NOT NULL,
    PRIMARY KEY (partner_id, domain, action, hour)
);
CREATE INDEX company_actions_by_age ON company_actions (hour);
CREATE INDEX company_actions_lately ON company_actions (partner_id, hour);

-- What purchases credit to partners: recurring revenue sold, by the owned domain.
CREATE TABLE credits (
    credit_id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    partner_id    text NOT NULL,
    domain        text NOT NULL,
    amount        numeric(18, 2) NOT NULL CHECK (amount > 0),
    currency      text NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    purchased_on  date NOT NULL,
    recorded_at   timestamptz NOT NULL,
    source        text NOT NULL,
    event_id      text NOT NULL,
    UNIQUE (source, event_id)
);
CREATE INDEX credits_by_partner ON credits (partner_id, credit_id);

ALTER TABLE registrations ADD COLUMN deal_reference text, ADD COLUMN growth_specialist text;

-- A link may be about something else than a question: a subscriber, a request.
ALTER TABLE tokens ADD COLUMN about text;
ALTER TABLE tokens DROP CONSTRAINT tokens_purpose_check,
    ADD CONSTRAINT tokens_purpose_check CHECK (purpose IN (
        'confirm', 'unsubscribe', 'preferences', 'subscription', 'leave', 'sign_in', 'identity'
    ));
CREATE INDEX tokens_about ON tokens (about) WHERE about IS NOT NULL;

-- migrate: rollback

DELETE FROM tokens WHERE purpose NOT IN ('confirm', 'unsubscribe', 'preferences');
ALTER TABLE tokens DROP CONSTRAINT tokens_purpose_check,
    ADD CONSTRAINT tokens_purpose_check CHECK (purpose IN ('confirm', 'unsubscribe', 'preferences'));
ALTER TABLE tokens DROP COLUMN about;
ALTER TABLE registrations DROP COLUMN growth_specialist, DROP COLUMN deal_reference;
DROP TABLE credits, company_actions, specialist_companies, subscribers, partners;
