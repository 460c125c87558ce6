-- What sessions leave behind, PostgreSQL. Its twin is ../sqlite/0002_objects.sql. An object is visible through its row alone.

CREATE TABLE artifacts (
    session TEXT NOT NULL REFERENCES sessions (id),
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size BIGINT NOT NULL,
    sha256 BYTEA NOT NULL,
    object TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    PRIMARY KEY (session, key)
);
CREATE INDEX artifacts_named ON artifacts (session, kind, name);
CREATE INDEX artifacts_expiring ON artifacts (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE profiles (
    organization TEXT NOT NULL REFERENCES organizations (id),
    key TEXT NOT NULL,
    version BIGINT NOT NULL,
    size BIGINT NOT NULL,
    sha256 BYTEA NOT NULL,
    object TEXT NOT NULL UNIQUE,
    saved_at BIGINT NOT NULL,
    last_session TEXT NOT NULL,
    PRIMARY KEY (organization, key)
);
CREATE INDEX profiles_saved ON profiles (saved_at);

-- Objects that no row shows: written down before their first byte, taken off when a row shows them, put back when it no
-- longer does. What is due is deleted, so that nothing has to be searched for.
CREATE TABLE loose_objects (
    object TEXT PRIMARY KEY,
    due_at BIGINT NOT NULL
);
CREATE INDEX loose_objects_due ON loose_objects (due_at);

CREATE TABLE revoked_tokens (
    id TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX revoked_tokens_expire ON revoked_tokens (expires_at);
