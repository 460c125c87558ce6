-- Sandboxes: pausing, moving to disk, checkpoints, PostgreSQL. Its twin is ../sqlite/0004_sandboxes.sql.

ALTER TABLE sessions
    -- A stored one is paused (or ends from there), and its machine has nothing of it but the disk: no slot, no reservation.
    ADD COLUMN stored BIGINT NOT NULL DEFAULT 0,
    -- The clock stands from the moment of the freeze until it is ready again.
    ADD COLUMN paused_at BIGINT,
    ADD COLUMN paused_ms BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN bytes_in_before BIGINT NOT NULL DEFAULT 0,
    ADD COLUMN bytes_out_before BIGINT NOT NULL DEFAULT 0,
    ADD CONSTRAINT stored_is_paused CHECK (stored = 0 OR status IN ('paused', 'ending')),
    ADD CONSTRAINT paused_stands_still
        CHECK ((paused_at IS NULL) = (status <> 'paused') OR status IN ('assigning', 'ending')),
    ADD CONSTRAINT paused_time_grows CHECK (paused_ms >= 0);
CREATE INDEX sessions_paused ON sessions (paused_at) WHERE status = 'paused';

-- What was paused did not run.
ALTER TABLE usage_records
    DROP CONSTRAINT usage_records_check,
    ADD CHECK (duration_ms BETWEEN 0 AND ended_at - started_at);

CREATE FUNCTION count_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status IN ('queued', 'paused') AND NEW.status = 'assigning' THEN
        UPDATE machines SET
            slots_used = slots_used + 1,
            reserve_used_mb = reserve_used_mb + NEW.reserve_mb,
            exclusive_organization =
                CASE WHEN NEW.isolation = 'dedicated' THEN NEW.organization ELSE exclusive_organization END
        WHERE id = NEW.machine_id;
    ELSIF OLD.status NOT IN ('queued', 'ended', 'failed') AND OLD.stored = 0
        AND (NEW.status IN ('queued', 'ended', 'failed') OR NEW.stored = 1) THEN
        -- The counters first: they take the machine's lock, and the second statement then sees what its last holder wrote.
        UPDATE machines SET slots_used = slots_used - 1, reserve_used_mb = reserve_used_mb - OLD.reserve_mb
        WHERE id = OLD.machine_id;
        UPDATE machines SET exclusive_organization = NULL
        WHERE id = OLD.machine_id AND exclusive_organization IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM sessions
            WHERE machine_id = OLD.machine_id AND status NOT IN ('ended', 'failed') AND isolation = 'dedicated'
        );
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER sessions_are_counted AFTER UPDATE OF status, stored ON sessions
    FOR EACH ROW WHEN (NEW.status <> OLD.status OR NEW.stored <> OLD.stored) EXECUTE FUNCTION count_session();

CREATE OR REPLACE FUNCTION follow_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status IN ('ended', 'failed') AND NEW.started_at IS NOT NULL THEN
        INSERT INTO usage_records (session, organization, kind, weight, started_at, ended_at, duration_ms)
        VALUES (
            NEW.id, NEW.organization, NEW.kind, NEW.weight, NEW.started_at, NEW.ended_at,
            NEW.ended_at - NEW.started_at - NEW.paused_ms
        );
    END IF;
    PERFORM announce(NEW,
        CASE
            WHEN NEW.status = 'queued' THEN 'requeued'
            WHEN NEW.status = 'assigning' THEN 'assigned'
            WHEN NEW.status = 'ready' AND OLD.status <> 'active' AND OLD.started_at IS NOT NULL THEN 'resumed'
            ELSE NEW.status
        END,
        jsonb_build_object(
            'status', NEW.status,
            'previous', OLD.status,
            'machineId', NEW.machine_id,
            'generation', NEW.generation,
            'endReason', NEW.end_reason,
            'error', CASE WHEN NEW.error_message IS NOT NULL THEN jsonb_build_object(
                'code', upper(NEW.end_reason), 'reason', NEW.error_reason, 'message', NEW.error_message) END,
            'durationMs', CASE WHEN NEW.ended_at IS NOT NULL
                THEN NEW.ended_at - coalesce(NEW.started_at, NEW.ended_at) - NEW.paused_ms END
        ));
    RETURN NULL;
END $$;

CREATE TABLE checkpoints (
    id TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (id),
    session TEXT NOT NULL REFERENCES sessions (id),
    object TEXT NOT NULL UNIQUE,
    manifest_bytes BIGINT NOT NULL,
    sha256 BYTEA NOT NULL,
    size BIGINT NOT NULL,
    workspace_bytes BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX checkpoints_session ON checkpoints (session, created_at);
CREATE INDEX checkpoints_expiring ON checkpoints (expires_at) WHERE expires_at IS NOT NULL;

-- Pieces of files, kept once for each organization. due_at: no checkpoint names it, and then it is dropped.
CREATE TABLE packs (
    organization TEXT NOT NULL REFERENCES organizations (id),
    sha256 TEXT NOT NULL,
    size BIGINT NOT NULL,
    object TEXT NOT NULL UNIQUE,
    due_at BIGINT,
    PRIMARY KEY (organization, sha256)
);
CREATE INDEX packs_due ON packs (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE checkpoint_packs (
    checkpoint TEXT NOT NULL REFERENCES checkpoints (id) ON DELETE CASCADE,
    organization TEXT NOT NULL,
    pack TEXT NOT NULL,
    PRIMARY KEY (checkpoint, pack),
    FOREIGN KEY (organization, pack) REFERENCES packs (organization, sha256)
);
CREATE INDEX checkpoint_packs_pack ON checkpoint_packs (organization, pack);

-- An organization's list shows also what is over.
CREATE INDEX sessions_listed ON sessions (organization, kind, created_at, id);
