-- Requests to be told where data comes from (GDPR Art. 15(1)(g)), with their statutory clock.
-- depends: 0009_sign_in

-- migrate: apply

-- Address, name and message belong to the role of whoever asks: they go with the request, whatever becomes of a lead.
CREATE TABLE source_requests (
    request_id             text PRIMARY KEY,
    subject                text NOT NULL,
    email                  text,
    name                   text,
    message                text,
    language               text NOT NULL,
    country                text,
    channel                text NOT NULL CHECK (channel IN ('form', 'api', 'console')),
    state                  text NOT NULL CHECK (state IN (
        'received', 'identity_pending', 'in_review', 'extended',
        'disclosed', 'partly_disclosed', 'refused', 'not_found', 'abandoned'
    )),
    received_at            timestamptz NOT NULL,
    opened_at              timestamptz NOT NULL,
    target                 timestamptz NOT NULL,
    deadline               timestamptz NOT NULL,
    identity_confirmed_at  timestamptz,
    identity_note          text,
    reminded_at            timestamptz,
    extended_at            timestamptz,
    extension_reason       text,
    paused_at              timestamptz,
    pause_until            timestamptz,
    pause_reason           text,
    decision               text CHECK (decision IN ('disclose', 'partly', 'refuse', 'not_found')),
    extent                 text CHECK (extent IN ('person', 'partner', 'category')),
    reason                 text,
    balancing              text,
    decided_by             text,
    closed_at              timestamptz,
    linked_to              text REFERENCES source_requests,
    version                integer NOT NULL,
    next_step_at           timestamptz,
    CHECK ((closed_at IS NULL) = (state IN ('received', 'identity_pending', 'in_review', 'extended'))),
    CHECK ((closed_at IS NULL) OR (next_step_at IS NULL))
);
CREATE INDEX source_requests_by_subject ON source_requests (subject, opened_at);
CREATE INDEX source_requests_by_first ON source_requests (linked_to) WHERE linked_to IS NOT NULL;
CREATE INDEX source_requests_by_deadline ON source_requests (deadline, request_id);
CREATE INDEX source_requests_by_state ON source_requests (state, deadline, request_id);
CREATE INDEX source_requests_open ON source_requests (deadline, request_id) WHERE closed_at IS NULL;
CREATE INDEX source_requests_due ON source_requests (next_step_at) WHERE next_step_at IS NOT NULL;
CREATE INDEX source_requests_closed ON source_requests (closed_at) WHERE closed_at IS NOT NULL;

-- migrate: rollback

DROP TABLE source_requests;
