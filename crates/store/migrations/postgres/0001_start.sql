-- The schema, PostgreSQL. Its twin is ../sqlite/0001_start.sql: same tables, same guards. Times are epoch milliseconds.

CREATE TABLE secrets (
    name TEXT PRIMARY KEY,
    bytes BYTEA NOT NULL
);

CREATE TABLE organizations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    plan TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE api_keys (
    id TEXT PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (id),
    name TEXT NOT NULL,
    hint TEXT NOT NULL,
    permissions TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT
);
CREATE INDEX api_keys_organization ON api_keys (organization);

-- A key has one secret, and a second one while a rotated one is still good.
CREATE TABLE api_key_secrets (
    hash BYTEA PRIMARY KEY,
    api_key TEXT NOT NULL REFERENCES api_keys (id),
    valid_until BIGINT
);
CREATE INDEX api_key_secrets_key ON api_key_secrets (api_key);

CREATE TABLE machines (
    id TEXT PRIMARY KEY,
    provider TEXT NOT NULL,
    region_code TEXT NOT NULL,
    region_global TEXT NOT NULL,
    state TEXT NOT NULL,
    draining BIGINT NOT NULL DEFAULT 0,
    epoch BIGINT NOT NULL,
    boot_id TEXT NOT NULL,
    version TEXT NOT NULL,
    reserve_total_mb BIGINT NOT NULL,
    reserve_used_mb BIGINT NOT NULL DEFAULT 0,
    slots_total BIGINT NOT NULL,
    slots_used BIGINT NOT NULL DEFAULT 0,
    exclusive_organization TEXT REFERENCES organizations (id),
    not_ready_reason TEXT,
    not_ready_message TEXT,
    registered_at BIGINT NOT NULL,
    CONSTRAINT no_memory_overcommit CHECK (reserve_used_mb BETWEEN 0 AND reserve_total_mb),
    CONSTRAINT no_slot_overcommit CHECK (slots_used BETWEEN 0 AND slots_total)
);

CREATE TABLE machine_leases (
    machine_id TEXT PRIMARY KEY REFERENCES machines (id),
    epoch BIGINT NOT NULL,
    beat_at BIGINT NOT NULL,
    lease_until BIGINT NOT NULL
);

CREATE TABLE reaper (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    ticked_at BIGINT,
    hold_until BIGINT
);
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
    reserve_mb BIGINT NOT NULL,
    limit_mb BIGINT NOT NULL,
    profile_key TEXT,
    machine_id TEXT REFERENCES machines (id),
    machine_epoch BIGINT NOT NULL DEFAULT 0,
    generation BIGINT NOT NULL DEFAULT 0,
    run_id TEXT,
    attempts BIGINT NOT NULL DEFAULT 0,
    avoid_machine TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL,
    queue_deadline BIGINT NOT NULL,
    step_deadline BIGINT,
    started_at BIGINT,
    expires_at BIGINT,
    ended_at BIGINT,
    end_reason TEXT,
    error_reason TEXT,
    error_message TEXT,
    bytes_in BIGINT NOT NULL DEFAULT 0,
    bytes_out BIGINT NOT NULL DEFAULT 0,
    CONSTRAINT over_means_ended CHECK ((status IN ('ended', 'failed')) = (ended_at IS NOT NULL)),
    CONSTRAINT over_has_a_reason CHECK (ended_at IS NULL OR end_reason IS NOT NULL),
    CONSTRAINT held_means_placed CHECK (status IN ('queued', 'ended', 'failed') OR (machine_id IS NOT NULL AND run_id IS NOT NULL)),
    CONSTRAINT queued_holds_nothing CHECK (status <> 'queued' OR machine_id IS NULL)
);
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
    started_at BIGINT NOT NULL,
    ended_at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL CHECK (duration_ms = ended_at - started_at AND duration_ms >= 0)
);

-- The records' sums by the UTC day of the end (days since the epoch), so that a limit is checked without adding up a month.
CREATE TABLE usage_days (
    organization TEXT NOT NULL,
    kind TEXT NOT NULL,
    weight TEXT NOT NULL,
    day BIGINT NOT NULL,
    sessions BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    PRIMARY KEY (organization, day, kind, weight)
);

-- A position is taken before its transaction commits, so that a later one can become visible first. A reader therefore
-- gives out seq itself, to what is committed by then (src/event.rs).
CREATE SEQUENCE event_seq;
CREATE TABLE events (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    seq BIGINT UNIQUE,
    id TEXT NOT NULL,
    organization TEXT NOT NULL,
    session TEXT NOT NULL,
    name TEXT NOT NULL,
    at BIGINT NOT NULL,
    data TEXT NOT NULL
);
CREATE INDEX events_at ON events (at);
CREATE INDEX events_unnumbered ON events (position) WHERE seq IS NULL;

CREATE TABLE idempotency (
    api_key TEXT NOT NULL,
    key TEXT NOT NULL,
    request_hash BYTEA NOT NULL,
    answer TEXT,
    expires_at BIGINT NOT NULL,
    PRIMARY KEY (api_key, key)
);
CREATE INDEX idempotency_expires ON idempotency (expires_at);

CREATE FUNCTION guard_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status IN ('ended', 'failed') AND NEW.status <> OLD.status THEN
        RAISE EXCEPTION 'a session that is over stays over';
    END IF;
    IF NEW.generation < OLD.generation THEN
        RAISE EXCEPTION 'a generation never falls';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER sessions_are_guarded BEFORE UPDATE OF status, generation ON sessions
    FOR EACH ROW EXECUTE FUNCTION guard_session();

CREATE FUNCTION announce(session sessions, word TEXT, data JSONB) RETURNS void LANGUAGE sql AS $$
    INSERT INTO events (id, organization, session, name, at, data)
    VALUES (
        lpad(to_hex(session.updated_at), 12, '0') || substr(replace(gen_random_uuid()::text, '-', ''), 1, 20),
        session.organization, session.id,
        CASE session.kind WHEN 'browser' THEN 'session' ELSE session.kind END || '.' || word,
        session.updated_at, jsonb_strip_nulls(data)::text
    );
$$;

CREATE FUNCTION announce_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM announce(NEW, 'created', jsonb_build_object('status', NEW.status, 'generation', NEW.generation));
    RETURN NULL;
END $$;
CREATE TRIGGER sessions_are_announced AFTER INSERT ON sessions
    FOR EACH ROW EXECUTE FUNCTION announce_session();

CREATE FUNCTION follow_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.status = 'queued' AND NEW.status = 'assigning' THEN
        UPDATE machines SET
            slots_used = slots_used + 1,
            reserve_used_mb = reserve_used_mb + NEW.reserve_mb,
            exclusive_organization =
                CASE WHEN NEW.isolation = 'dedicated' THEN NEW.organization ELSE exclusive_organization END
        WHERE id = NEW.machine_id;
    ELSIF OLD.status NOT IN ('queued', 'ended', 'failed') AND NEW.status IN ('queued', 'ended', 'failed') THEN
        -- The counters first: they take the machine's lock, and the second statement then sees what its last holder wrote.
        UPDATE machines SET slots_used = slots_used - 1, reserve_used_mb = reserve_used_mb - OLD.reserve_mb
        WHERE id = OLD.machine_id;
        UPDATE machines SET exclusive_organization = NULL
        WHERE id = OLD.machine_id AND exclusive_organization IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM sessions
            WHERE machine_id = OLD.machine_id AND status NOT IN ('ended', 'failed') AND isolation = 'dedicated'
        );
    END IF;
    IF NEW.status IN ('ended', 'failed') AND NEW.started_at IS NOT NULL THEN
        INSERT INTO usage_records (session, organization, kind, weight, started_at, ended_at, duration_ms)
        VALUES (NEW.id, NEW.organization, NEW.kind, NEW.weight, NEW.started_at, NEW.ended_at, NEW.ended_at - NEW.started_at);
    END IF;
    PERFORM announce(NEW,
        CASE NEW.status WHEN 'queued' THEN 'requeued' WHEN 'assigning' THEN 'assigned' ELSE NEW.status END,
        jsonb_build_object(
            'status', NEW.status,
            'previous', OLD.status,
            'machineId', NEW.machine_id,
            'generation', NEW.generation,
            'endReason', NEW.end_reason,
            'error', CASE WHEN NEW.error_message IS NOT NULL THEN jsonb_build_object(
                'code', upper(NEW.end_reason), 'reason', NEW.error_reason, 'message', NEW.error_message) END,
            'durationMs', CASE WHEN NEW.ended_at IS NOT NULL THEN NEW.ended_at - coalesce(NEW.started_at, NEW.ended_at) END
        ));
    RETURN NULL;
END $$;
CREATE TRIGGER sessions_are_followed AFTER UPDATE OF status ON sessions
    FOR EACH ROW WHEN (NEW.status <> OLD.status) EXECUTE FUNCTION follow_session();

CREATE FUNCTION sum_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO usage_days AS days (organization, kind, weight, day, sessions, duration_ms)
    VALUES (NEW.organization, NEW.kind, coalesce(NEW.weight, ''), NEW.ended_at / 86400000, 1, NEW.duration_ms)
    ON CONFLICT (organization, day, kind, weight)
    DO UPDATE SET sessions = days.sessions + 1, duration_ms = days.duration_ms + excluded.duration_ms;
    RETURN NULL;
END $$;
CREATE TRIGGER usage_is_summed AFTER INSERT ON usage_records
    FOR EACH ROW EXECUTE FUNCTION sum_usage();
