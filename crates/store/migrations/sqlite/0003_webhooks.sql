-- Webhooks and what is sent to them, SQLite. Its twin is ../postgres/0003_webhooks.sql.

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (id),
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    description TEXT NOT NULL,
    secret TEXT NOT NULL,
    old_secret TEXT,
    old_secret_until INTEGER,
    disabled TEXT,
    -- Events up to this one happened before it was made.
    after_seq INTEGER NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    failing_since INTEGER,
    last_delivered_at INTEGER,
    created_at INTEGER NOT NULL,
    CONSTRAINT an_old_secret_ends CHECK ((old_secret IS NULL) = (old_secret_until IS NULL)),
    CONSTRAINT failing_has_a_beginning CHECK ((failures = 0) = (failing_since IS NULL))
) STRICT;
CREATE INDEX webhooks_organization ON webhooks (organization);

-- The last event that was turned into deliveries.
CREATE TABLE webhook_position (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    seq INTEGER NOT NULL
) STRICT;
INSERT INTO webhook_position (id, seq) VALUES (1, 0);

-- One event for one webhook. Of a session's deliveries that wait, the first alone has next_at: the others wait for it.
-- While one is being tried, next_at is when somebody else may try it. A test has neither seq nor session.
CREATE TABLE webhook_deliveries (
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    event TEXT NOT NULL,
    seq INTEGER,
    session TEXT,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    next_at INTEGER,
    tries INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (webhook, event),
    CONSTRAINT only_what_waits_has_a_next_try CHECK (state = 'waiting' OR next_at IS NULL)
) STRICT;
CREATE UNIQUE INDEX webhook_deliveries_first ON webhook_deliveries (webhook, session) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_deliveries_waiting ON webhook_deliveries (webhook, session, seq) WHERE state = 'waiting';
CREATE INDEX webhook_deliveries_listed ON webhook_deliveries (webhook, created_at);
CREATE INDEX webhook_deliveries_age ON webhook_deliveries (created_at);

CREATE TABLE webhook_attempts (
    webhook TEXT NOT NULL,
    event TEXT NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    status INTEGER,
    error TEXT,
    response TEXT,
    PRIMARY KEY (webhook, event, number),
    FOREIGN KEY (webhook, event) REFERENCES webhook_deliveries (webhook, event) ON DELETE CASCADE
) STRICT;
