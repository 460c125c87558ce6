-- Sandboxes: pausing, moving to disk, checkpoints, SQLite. Its twin is ../postgres/0004_sandboxes.sql.

-- A stored one is paused (or ends from there), and its machine has nothing of it but the disk: no slot, no reservation.
ALTER TABLE sessions ADD COLUMN stored INTEGER NOT NULL DEFAULT 0
    CONSTRAINT stored_is_paused CHECK (stored = 0 OR status IN ('paused', 'ending'));
-- The clock stands from the moment of the freeze until it is ready again.
ALTER TABLE sessions ADD COLUMN paused_at INTEGER
    CONSTRAINT paused_stands_still CHECK ((paused_at IS NULL) = (status <> 'paused') OR status IN ('assigning', 'ending'));
ALTER TABLE sessions ADD COLUMN paused_ms INTEGER NOT NULL DEFAULT 0 CONSTRAINT paused_time_grows CHECK (paused_ms >= 0);
ALTER TABLE sessions ADD COLUMN bytes_in_before INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN bytes_out_before INTEGER NOT NULL DEFAULT 0;
CREATE INDEX sessions_paused ON sessions (paused_at) WHERE status = 'paused';

DROP TRIGGER sessions_take_a_machine;
CREATE TRIGGER sessions_take_a_machine AFTER UPDATE OF status ON sessions
WHEN OLD.status IN ('queued', 'paused') AND NEW.status = 'assigning'
BEGIN
    UPDATE machines SET
        slots_used = slots_used + 1,
        reserve_used_mb = reserve_used_mb + NEW.reserve_mb,
        exclusive_organization = CASE WHEN NEW.isolation = 'dedicated' THEN NEW.organization ELSE exclusive_organization END
    WHERE id = NEW.machine_id;
END;

DROP TRIGGER sessions_leave_a_machine;
CREATE TRIGGER sessions_leave_a_machine AFTER UPDATE OF status, stored ON sessions
WHEN OLD.status NOT IN ('queued', 'ended', 'failed') AND OLD.stored = 0
    AND (NEW.status IN ('queued', 'ended', 'failed') OR NEW.stored = 1)
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

-- What was paused did not run.
DROP TRIGGER sessions_are_metered;
CREATE TABLE usage_records_with_pauses (
    session TEXT PRIMARY KEY REFERENCES sessions (id),
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    weight TEXT,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    duration_ms INTEGER NOT NULL CHECK (duration_ms BETWEEN 0 AND ended_at - started_at)
) STRICT;
INSERT INTO usage_records_with_pauses SELECT * FROM usage_records;
DROP TABLE usage_records;
ALTER TABLE usage_records_with_pauses RENAME TO usage_records;
CREATE TRIGGER usage_is_summed AFTER INSERT ON usage_records
BEGIN
    INSERT INTO usage_days (organization, kind, weight, day, sessions, duration_ms)
    VALUES (NEW.organization, NEW.kind, coalesce(NEW.weight, ''), NEW.ended_at / 86400000, 1, NEW.duration_ms)
    ON CONFLICT (organization, day, kind, weight)
    DO UPDATE SET sessions = sessions + 1, duration_ms = duration_ms + excluded.duration_ms;
END;
CREATE TRIGGER sessions_are_metered AFTER UPDATE OF status ON sessions
WHEN NEW.status IN ('ended', 'failed') AND NEW.started_at IS NOT NULL
BEGIN
    INSERT INTO usage_records (session, organization, kind, weight, started_at, ended_at, duration_ms)
    VALUES (
        NEW.id, NEW.organization, NEW.kind, NEW.weight, NEW.started_at, NEW.ended_at,
        NEW.ended_at - NEW.started_at - NEW.paused_ms
    );
END;

DROP TRIGGER moves_are_announced;
CREATE TRIGGER moves_are_announced AFTER UPDATE OF status ON sessions
WHEN NEW.status <> OLD.status
BEGIN
    INSERT INTO events (id, organization, session, name, at, data)
    VALUES (
        printf('%012x', NEW.updated_at) || lower(hex(randomblob(10))), NEW.organization, NEW.id,
        CASE NEW.kind WHEN 'browser' THEN 'session' ELSE NEW.kind END || '.'
            || CASE
                WHEN NEW.status = 'queued' THEN 'requeued'
                WHEN NEW.status = 'assigning' THEN 'assigned'
                WHEN NEW.status = 'ready' AND OLD.status <> 'active' AND OLD.started_at IS NOT NULL THEN 'resumed'
                ELSE NEW.status
            END,
        NEW.updated_at,
        json_patch('{}', json_object(
            'status', NEW.status,
            'previous', OLD.status,
            'machineId', NEW.machine_id,
            'generation', NEW.generation,
            'endReason', NEW.end_reason,
            'error', json(CASE WHEN NEW.error_message IS NOT NULL THEN json_object(
                'code', upper(NEW.end_reason), 'reason', NEW.error_reason, 'message', NEW.error_message) END),
            'durationMs', CASE WHEN NEW.ended_at IS NOT NULL
                THEN NEW.ended_at - coalesce(NEW.started_at, NEW.ended_at) - NEW.paused_ms END
        ))
    );
END;

CREATE TABLE checkpoints (
    id TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (id),
    session TEXT NOT NULL REFERENCES sessions (id),
    object TEXT NOT NULL UNIQUE,
    manifest_bytes INTEGER NOT NULL,
    sha256 BLOB NOT NULL,
    size INTEGER NOT NULL,
    workspace_bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT;
CREATE INDEX checkpoints_session ON checkpoints (session, created_at);
CREATE INDEX checkpoints_expiring ON checkpoints (expires_at) WHERE expires_at IS NOT NULL;

-- Pieces of files, kept once for each organization. due_at: no checkpoint names it, and then it is dropped.
CREATE TABLE packs (
    organization TEXT NOT NULL REFERENCES organizations (id),
    sha256 TEXT NOT NULL,
    size INTEGER NOT NULL,
    object TEXT NOT NULL UNIQUE,
    due_at INTEGER,
    PRIMARY KEY (organization, sha256)
) STRICT;
CREATE INDEX packs_due ON packs (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE checkpoint_packs (
    checkpoint TEXT NOT NULL REFERENCES checkpoints (id) ON DELETE CASCADE,
    organization TEXT NOT NULL,
    pack TEXT NOT NULL,
    PRIMARY KEY (checkpoint, pack),
    FOREIGN KEY (organization, pack) REFERENCES packs (organization, sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX checkpoint_packs_pack ON checkpoint_packs (organization, pack);

-- An organization's list shows also what is over.
CREATE INDEX sessions_listed ON sessions (organization, kind, created_at, id);
