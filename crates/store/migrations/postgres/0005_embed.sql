-- Embed sessions: the ledger of their minutes, orders, visitors, PostgreSQL. Its twin is ../sqlite/0005_embed.sql.

ALTER TABLE sessions
    -- Minutes that the organization pays for an embed session, 0 for a visitor's; NULL: no embed session.
    ADD COLUMN minutes BIGINT CONSTRAINT minutes_are_paid CHECK (minutes >= 0),
    -- Whether its time is counted as usage.
    ADD COLUMN metered BIGINT NOT NULL DEFAULT 1;

CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    product TEXT NOT NULL,
    minutes BIGINT NOT NULL CHECK (minutes > 0),
    price_cents BIGINT NOT NULL CHECK (price_cents >= 0),
    currency TEXT NOT NULL,
    email TEXT,
    provider TEXT NOT NULL,
    provider_ref TEXT,
    -- Whose minutes they are; until it is paid NULL, when the payment makes an organization.
    organization TEXT REFERENCES organizations (id),
    makes_organization BIGINT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'paid', 'cancelled')),
    created_at BIGINT NOT NULL,
    paid_at BIGINT,
    key_shown_at BIGINT,
    CONSTRAINT paid_has_a_time CHECK ((status = 'paid') = (paid_at IS NOT NULL)),
    CONSTRAINT paid_has_an_owner CHECK (status <> 'paid' OR organization IS NOT NULL),
    CONSTRAINT shown_was_paid CHECK (key_shown_at IS NULL OR (status = 'paid' AND makes_organization = 1))
);
CREATE INDEX orders_listed ON orders (status, created_at);
CREATE INDEX orders_organization ON orders (organization, paid_at) WHERE organization IS NOT NULL;

-- What a paid session keeps of its organization's minutes until it ends. Its key is why no session is paid twice.
CREATE TABLE minute_holds (
    session TEXT PRIMARY KEY REFERENCES sessions (id),
    organization TEXT NOT NULL REFERENCES organizations (id),
    minutes BIGINT NOT NULL CHECK (minutes > 0),
    held_at BIGINT NOT NULL,
    settled_at BIGINT,
    refunded BIGINT,
    CONSTRAINT refunds_at_most_what_was_held CHECK (refunded BETWEEN 0 AND minutes),
    CONSTRAINT settled_says_how CHECK ((settled_at IS NULL) = (refunded IS NULL))
);
CREATE INDEX minute_holds_open ON minute_holds (organization) WHERE settled_at IS NULL;

-- Double entry: a movement is a pair of entries whose sum is 0, made by the trigger below and by nobody else.
CREATE TABLE minute_movements (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    organization TEXT NOT NULL REFERENCES organizations (id),
    kind TEXT NOT NULL CHECK (kind IN ('grant', 'purchase', 'hold', 'spend', 'refund')),
    minutes BIGINT NOT NULL CHECK (minutes > 0),
    session TEXT REFERENCES sessions (id),
    order_id TEXT REFERENCES orders (id),
    note TEXT,
    at BIGINT NOT NULL,
    CONSTRAINT says_for_what CHECK (
        (session IS NOT NULL) = (kind IN ('hold', 'spend', 'refund')) AND (order_id IS NOT NULL) = (kind = 'purchase'))
);
CREATE INDEX minute_movements_organization ON minute_movements (organization, id);
CREATE UNIQUE INDEX minute_movements_session ON minute_movements (session, kind) WHERE session IS NOT NULL;
CREATE UNIQUE INDEX minute_movements_order ON minute_movements (order_id) WHERE order_id IS NOT NULL;

CREATE TABLE minute_entries (
    movement BIGINT NOT NULL REFERENCES minute_movements (id),
    organization TEXT NOT NULL,
    account TEXT NOT NULL CHECK (account IN ('issued', 'available', 'held', 'spent')),
    minutes BIGINT NOT NULL,
    PRIMARY KEY (movement, account)
);

-- The entries' sums: one row for each organization, so that who moves minutes takes one lock.
CREATE TABLE minute_totals (
    organization TEXT PRIMARY KEY REFERENCES organizations (id),
    issued BIGINT NOT NULL DEFAULT 0 CHECK (issued <= 0),
    available BIGINT NOT NULL DEFAULT 0 CHECK (available >= 0),
    held BIGINT NOT NULL DEFAULT 0 CHECK (held >= 0),
    spent BIGINT NOT NULL DEFAULT 0 CHECK (spent >= 0)
);
INSERT INTO minute_totals (organization) SELECT id FROM organizations;

CREATE FUNCTION give_totals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO minute_totals (organization) VALUES (NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER organizations_have_totals AFTER INSERT ON organizations
    FOR EACH ROW EXECUTE FUNCTION give_totals();

CREATE FUNCTION hold_minutes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO minute_holds (session, organization, minutes, held_at)
    VALUES (NEW.id, NEW.organization, NEW.minutes, NEW.created_at);
    RETURN NULL;
END $$;
CREATE TRIGGER sessions_hold_minutes AFTER INSERT ON sessions
    FOR EACH ROW WHEN (NEW.minutes > 0) EXECUTE FUNCTION hold_minutes();

CREATE FUNCTION demand_settlement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM minute_holds WHERE session = NEW.id AND settled_at IS NULL) THEN
        RAISE EXCEPTION 'a session that ends has settled its minutes';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER sessions_settle_before_they_end BEFORE UPDATE OF status ON sessions
    FOR EACH ROW WHEN (NEW.minutes > 0 AND NEW.status IN ('ending', 'ended', 'failed'))
    EXECUTE FUNCTION demand_settlement();

CREATE FUNCTION guard_hold() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.settled_at IS NOT NULL OR NEW.session <> OLD.session OR NEW.organization <> OLD.organization
        OR NEW.minutes <> OLD.minutes THEN
        RAISE EXCEPTION 'a hold is settled once, and otherwise stays';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER holds_are_settled_once BEFORE UPDATE ON minute_holds
    FOR EACH ROW EXECUTE FUNCTION guard_hold();

CREATE FUNCTION move_held_minutes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO minute_movements (organization, kind, minutes, session, at)
        VALUES (NEW.organization, 'hold', NEW.minutes, NEW.session, NEW.held_at);
    END IF;
    IF NEW.refunded < NEW.minutes THEN
        INSERT INTO minute_movements (organization, kind, minutes, session, at)
        VALUES (NEW.organization, 'spend', NEW.minutes - NEW.refunded, NEW.session, NEW.settled_at);
    END IF;
    IF NEW.refunded > 0 THEN
        INSERT INTO minute_movements (organization, kind, minutes, session, at)
        VALUES (NEW.organization, 'refund', NEW.refunded, NEW.session, NEW.settled_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER holds_move_minutes AFTER INSERT OR UPDATE OF settled_at ON minute_holds
    FOR EACH ROW EXECUTE FUNCTION move_held_minutes();

CREATE FUNCTION pair_movement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO minute_entries (movement, organization, account, minutes) VALUES
        (
            NEW.id, NEW.organization,
            CASE NEW.kind WHEN 'hold' THEN 'available' WHEN 'spend' THEN 'held' WHEN 'refund' THEN 'held' ELSE 'issued' END,
            -NEW.minutes
        ),
        (
            NEW.id, NEW.organization,
            CASE NEW.kind WHEN 'hold' THEN 'held' WHEN 'spend' THEN 'spent' ELSE 'available' END,
            NEW.minutes
        );
    RETURN NULL;
END $$;
CREATE TRIGGER movements_are_pairs AFTER INSERT ON minute_movements
    FOR EACH ROW EXECUTE FUNCTION pair_movement();

CREATE FUNCTION sum_entry() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE minute_totals SET
        issued = issued + CASE WHEN NEW.account = 'issued' THEN NEW.minutes ELSE 0 END,
        available = available + CASE WHEN NEW.account = 'available' THEN NEW.minutes ELSE 0 END,
        held = held + CASE WHEN NEW.account = 'held' THEN NEW.minutes ELSE 0 END,
        spent = spent + CASE WHEN NEW.account = 'spent' THEN NEW.minutes ELSE 0 END
    WHERE organization = NEW.organization;
    RETURN NULL;
END $$;
CREATE TRIGGER entries_are_summed AFTER INSERT ON minute_entries
    FOR EACH ROW EXECUTE FUNCTION sum_entry();

CREATE FUNCTION keep_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what is in the ledger stays';
END $$;
CREATE TRIGGER movements_stay BEFORE UPDATE OR DELETE ON minute_movements
    FOR EACH ROW EXECUTE FUNCTION keep_ledger();
CREATE TRIGGER entries_stay BEFORE UPDATE OR DELETE ON minute_entries
    FOR EACH ROW EXECUTE FUNCTION keep_ledger();

-- Whose browser a visitor's is. Both hashes are keyed: nothing here names a person.
CREATE TABLE demo_visits (
    session TEXT PRIMARY KEY REFERENCES sessions (id),
    visitor BYTEA NOT NULL,
    address BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    disconnected_at BIGINT
);
CREATE INDEX demo_visits_visitor ON demo_visits (visitor);
CREATE INDEX demo_visits_address ON demo_visits (address, created_at);
CREATE INDEX demo_visits_disconnected ON demo_visits (disconnected_at) WHERE disconnected_at IS NOT NULL;

CREATE OR REPLACE FUNCTION follow_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status IN ('ended', 'failed') AND NEW.started_at IS NOT NULL AND NEW.metered = 1 THEN
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
