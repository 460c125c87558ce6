-- What sessions leave behind, SQLite. Its twin is ../postgres/0002_objects.sql. An object is visible through its row alone.

CREATE TABLE artifacts (
    session TEXT NOT NULL REFERENCES sessions (id),
    key TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    content_type TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    object TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    PRIMARY KEY (session, key)
) STRICT;
CREATE INDEX artifacts_named ON artifacts (session, kind, name);
CREATE INDEX artifacts_expiring ON artifacts (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE profiles (
    organization TEXT NOT NULL REFERENCES organizations (id),
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    size INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    object TEXT NOT NULL UNIQUE,
    saved_at INTEGER NOT NULL,
    last_session TEXT NOT NULL,
    PRIMARY KEY (organization, key)
) STRICT;
CREATE INDEX profiles_saved ON profiles (saved_at);

-- Objects that no row shows: written down before their first byte, taken off when a row shows them, put back when it no
-- longer does. What is due is deleted, so that nothing has to be searched for.
CREATE TABLE loose_objects (
    object TEXT PRIMARY KEY,
    due_at INTEGER NOT NULL
) STRICT;
CREATE INDEX loose_objects_due ON loose_objects (due_at);

CREATE TABLE revoked_tokens (
    id TEXT PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX revoked_tokens_expire ON revoked_tokens (expires_at);
