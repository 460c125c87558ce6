-- The schema, SQLite. Its twin is ../postgres/0001_start.sql: same tables, same guards. Times are epoch milliseconds.

CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;

CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    plan TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    hint TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
) STRICT;
CREATE INDEX api_keys_organization ON api_keys (organization);

-- A key has one secret, and a second one while a rotated one is still good.
CREATE TABLE api_key_secrets (
    hash BLOB PRIMARY KEY,
    api_key TEXT NOT NULL REFERENCES api_keys (id),
    valid_until INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_key_secrets_key ON api_key_secrets (api_key);

CREATE TABLE machines (
    id TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    region_code TEXT NOT NULL,
    region_global TEXT NOT NULL,
    state TEXT NOT NULL,
    draining INTEGER NOT NULL DEFAULT 0,
    epoch INTEGER NOT NULL,
    boot_id TEXT NOT NULL,
    version TEXT NOT NULL,
    reserve_total_mb INTEGER NOT NULL,
    reserve_used_mb INTEGER NOT NULL DEFAULT 0,
    slots_total INTEGER NOT NULL,
    slots_used INTEGER NOT NULL DEFAULT 0,
    exclusive_organization TEXT REFERENCES organizations (id),
    not_ready_reason TEXT,
    not_ready_message TEXT,
    registered_at INTEGER NOT NULL,
    CONSTRAINT no_memory_overcommit CHECK (reserve_used_mb BETWEEN 0 AND reserve_total_mb),
    CONSTRAINT no_slot_overcommit CHECK (slots_used BETWEEN 0 AND slots_total)
) STRICT;

CREATE TABLE machine_leases (
    machine_id TEXT PRIMARY KEY REFERENCES machines (id),
    epoch INTEGER NOT NULL,
    beat_at INTEGER NOT NULL,
    lease_until INTEGER NOT NULL
) STRICT;

CREATE TABLE reaper (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    ticked_at INTEGER,
    hold_until INTEGER
) STRICT;
INSERT INTO reaper (id) VALUES (1);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (id),
    api_key TEXT REFERENCES api_keys (id),
    kind TEXT NOT NULL,
    weight TEXT,
    isolation TEXT NOT NULL,
    region TEXT,
    workload TEXT NOT NULL,
    status TEXT NOT NULL,
    desired TEXT NOT NULL,
    reserve_mb INTEGER NOT NULL,
    limit_mb INTEGER NOT NULL,
    profile_key TEXT,
    machine_id TEXT REFERENCES machines (id),
    machine_epoch INTEGER NOT NULL DEFAULT 0,
    generation INTEGER NOT NULL DEFAULT 0,
    run_id TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    avoid_machine TEXT,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    not_before INTEGER NOT NULL,
    queue_deadline INTEGER NOT NULL,
    step_deadline INTEGER,
    started_at INTEGER,
    expires_at INTEGER,
    ended_at INTEGER,
    end_reason TEXT,
    error_reason TEXT,
    error_message TEXT,
    bytes_in INTEGER NOT NULL DEFAULT 0,
    bytes_out INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT over_means_ended CHECK ((status IN ('ended', 'failed')) = (ended_at IS NOT NULL)),
    CONSTRAINT over_has_a_reason CHECK (ended_at IS NULL OR end_reason IS NOT NULL),
    CONSTRAINT held_means_placed CHECK (status IN ('queued', 'ended', 'failed') OR (machine_id IS NOT NULL AND run_id IS NOT NULL)),
    CONSTRAINT queued_holds_nothing CHECK (status <> 'queued' OR machine_id IS NULL)
) STRICT;
CREATE UNIQUE INDEX sessions_profile ON sessions (organization, profile_key)
    WHERE profile_key IS NOT NULL AND status NOT IN ('ended', 'failed');
CREATE INDEX sessions_open ON sessions (organization, kind, created_at) WHERE status NOT IN ('ended', 'failed');
CREATE INDEX sessions_queued ON sessions (organization, created_at, not_before, queue_deadline) WHERE status = 'queued';
CREATE INDEX sessions_held ON sessions (organization) WHERE status NOT IN ('ended', 'failed', 'queued');
CREATE INDEX sessions_machine ON sessions (machine_id) WHERE status NOT IN ('ended', 'failed');
CREATE INDEX sessions_assigning ON sessions (step_deadline) WHERE status = 'assigning';
CREATE INDEX sessions_expiring ON sessions (expires_at) WHERE status IN ('ready', 'active');
CREATE INDEX sessions_over ON sessions (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE usage_records (
    session TEXT PRIMARY KEY REFERENCES sessions (id),
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    weight TEXT,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL CHECK (duration_ms = ended_at - started_at AND duration_ms >= 0)
) STRICT;

-- The records' sums by the UTC day of the end (days since the epoch), so that a limit is checked without adding up a month.
CREATE TABLE usage_days (
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    weight TEXT NOT NULL,
    day INTEGER NOT NULL,
    sessions INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL,
    PRIMARY KEY (organization, day, kind, weight)
) STRICT, WITHOUT ROWID;

-- AUTOINCREMENT: a seq is never given twice, not even after the newest events were deleted.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    organization TEXT NOT NULL,
    session TEXT NOT NULL,
    name TEXT NOT NULL,
    at INTEGER NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX events_at ON events (at);

CREATE TABLE idempotency (
    api_key TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    answer TEXT,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (api_key, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_expires ON idempotency (expires_at);

CREATE TRIGGER sessions_stay_over BEFORE UPDATE OF status ON sessions
WHEN OLD.status IN ('ended', 'failed') AND NEW.status <> OLD.status
BEGIN
    SELECT RAISE(ABORT, 'a session that is over stays over');
END;

CREATE TRIGGER sessions_generation_grows BEFORE UPDATE OF generation ON sessions
WHEN NEW.generation < OLD.generation
BEGIN
    SELECT RAISE(ABORT, 'a generation never falls');
END;

CREATE TRIGGER sessions_take_a_machine AFTER UPDATE OF status ON sessions
WHEN OLD.status = 'queued' AND NEW.status = 'assigning'
BEGIN
    UPDATE machines SET
        slots_used = slots_used + 1,
        reserve_used_mb = reserve_used_mb + NEW.reserve_mb,
        exclusive_organization = CASE WHEN NEW.isolation = 'dedicated' THEN NEW.organization ELSE exclusive_organization END
    WHERE id = NEW.machine_id;
END;

CREATE TRIGGER sessions_leave_a_machine AFTER UPDATE OF status ON sessions
WHEN OLD.status NOT IN ('queued', 'ended', 'failed') AND NEW.status IN ('queued', 'ended', 'failed')
BEGIN
    UPDATE machines SET
        slots_used = slots_used - 1,
        reserve_used_mb = reserve_used_mb - OLD.reserve_mb,
        exclusive_organization = CASE WHEN EXISTS (
            SELECT 1 FROM sessions
            WHERE machine_id = OLD.machine_id AND status NOT IN ('ended', 'failed') AND isolation = 'dedicated'
        ) THEN exclusive_organization END
    WHERE id = OLD.machine_id;
END;

CREATE TRIGGER sessions_are_metered AFTER UPDATE OF status ON sessions
WHEN NEW.status IN ('ended', 'failed') AND NEW.started_at IS NOT NULL
BEGIN
    INSERT INTO usage_records (session, organization, kind, weight, started_at, ended_at, duration_ms)
    VALUES (NEW.id, NEW.organization, NEW.kind, NEW.weight, NEW.started_at, NEW.ended_at, NEW.ended_at - NEW.started_at);
END;

CREATE TRIGGER usage_is_summed AFTER INSERT ON usage_records
BEGIN
    INSERT INTO usage_days (organization, kind, weight, day, sessions, duration_ms)
    VALUES (NEW.organization, NEW.kind, coalesce(NEW.weight, ''), NEW.ended_at / 86400000, 1, NEW.duration_ms)
    ON CONFLICT (organization, day, kind, weight)
    DO UPDATE SET sessions = sessions + 1, duration_ms = duration_ms + excluded.duration_ms;
END;

CREATE TRIGGER sessions_are_announced AFTER INSERT ON sessions
BEGIN
    INSERT INTO events (id, organization, session, name, at, data)
    VALUES (
        printf('%012x', NEW.created_at) || lower(hex(randomblob(10))), NEW.organization, NEW.id,
        CASE NEW.kind WHEN 'browser' THEN 'session' ELSE NEW.kind END || '.created', NEW.created_at,
        json_object('status', NEW.status, 'generation', NEW.generation)
    );
END;

CREATE TRIGGER moves_are_announced AFTER UPDATE OF status ON sessions
WHEN NEW.status <> OLD.status
BEGIN
    INSERT INTO events (id, organization, session, name, at, data)
    VALUES (
        printf('%012x', NEW.updated_at) || lower(hex(randomblob(10))), NEW.organization, NEW.id,
        CASE NEW.kind WHEN 'browser' THEN 'session' ELSE NEW.kind END || '.'
            || CASE NEW.status WHEN 'queued' THEN 'requeued' WHEN 'assigning' THEN 'assigned' ELSE NEW.status END,
        NEW.updated_at,
        json_patch('{}', json_object(
            'status', NEW.status,
            'previous', OLD.status,
            'machineId', NEW.machine_id,
            'generation', NEW.generation,
            'endReason', NEW.end_reason,
            'error', json(CASE WHEN NEW.error_message IS NOT NULL THEN json_object(
                'code', upper(NEW.end_reason), 'reason', NEW.error_reason, 'message', NEW.error_message) END),
            'durationMs', CASE WHEN NEW.ended_at IS NOT NULL THEN NEW.ended_at - coalesce(NEW.started_at, NEW.ended_at) END
        ))
    );
END;
