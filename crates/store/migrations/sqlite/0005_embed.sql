-- Embed sessions: the ledger of their minutes, orders, visitors, SQLite. Its twin is ../postgres/0005_embed.sql.

-- Minutes that the organization pays for an embed session, 0 for a visitor's; NULL: no embed session.
ALTER TABLE sessions ADD COLUMN minutes INTEGER CONSTRAINT minutes_are_paid CHECK (minutes >= 0);
-- Whether its time is counted as usage.
ALTER TABLE sessions ADD COLUMN metered INTEGER NOT NULL DEFAULT 1;

CREATE TABLE orders (
    id TEXT PRIMARY KEY,
    product TEXT NOT NULL,
    minutes INTEGER NOT NULL CHECK (minutes > 0),
    price_cents INTEGER NOT NULL CHECK (price_cents >= 0),
    currency TEXT NOT NULL,
    email TEXT,
    provider TEXT NOT NULL,
    provider_ref TEXT,
    -- Whose minutes they are; until it is paid NULL, when the payment makes an organization.
    organization TEXT REFERENCES organizations (id),
    makes_organization INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'paid', 'cancelled')),
    created_at INTEGER NOT NULL,
    paid_at INTEGER,
    key_shown_at INTEGER,
    CONSTRAINT paid_has_a_time CHECK ((status = 'paid') = (paid_at IS NOT NULL)),
    CONSTRAINT paid_has_an_owner CHECK (status <> 'paid' OR organization IS NOT NULL),
    CONSTRAINT shown_was_paid CHECK (key_shown_at IS NULL OR (status = 'paid' AND makes_organization = 1))
) STRICT;
CREATE INDEX orders_listed ON orders (status, created_at);
CREATE INDEX orders_organization ON orders (organization, paid_at) WHERE organization IS NOT NULL;

-- What a paid session keeps of its organization's minutes until it ends. Its key is why no session is paid twice.
CREATE TABLE minute_holds (
    session TEXT PRIMARY KEY REFERENCES sessions (id),
    organization TEXT NOT NULL REFERENCES organizations (id),
    minutes INTEGER NOT NULL CHECK (minutes > 0),
    held_at INTEGER NOT NULL,
    settled_at INTEGER,
    refunded INTEGER,
    CONSTRAINT refunds_at_most_what_was_held CHECK (refunded BETWEEN 0 AND minutes),
    CONSTRAINT settled_says_how CHECK ((settled_at IS NULL) = (refunded IS NULL))
) STRICT;
CREATE INDEX minute_holds_open ON minute_holds (organization) WHERE settled_at IS NULL;

-- Double entry: a movement is a pair of entries whose sum is 0, made by the trigger below and by nobody else.
CREATE TABLE minute_movements (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    organization TEXT NOT NULL REFERENCES organizations (id),
    kind TEXT NOT NULL CHECK (kind IN ('grant', 'purchase', 'hold', 'spend', 'refund')),
    minutes INTEGER NOT NULL CHECK (minutes > 0),
    session TEXT REFERENCES sessions (id),
    order_id TEXT REFERENCES orders (id),
    note TEXT,
    at INTEGER NOT NULL,
    CONSTRAINT says_for_what CHECK (
        (session IS NOT NULL) = (kind IN ('hold', 'spend', 'refund')) AND (order_id IS NOT NULL) = (kind = 'purchase'))
) STRICT;
CREATE INDEX minute_movements_organization ON minute_movements (organization, id);
CREATE UNIQUE INDEX minute_movements_session ON minute_movements (session, kind) WHERE session IS NOT NULL;
CREATE UNIQUE INDEX minute_movements_order ON minute_movements (order_id) WHERE order_id IS NOT NULL;

CREATE TABLE minute_entries (
    movement INTEGER NOT NULL REFERENCES minute_movements (id),
    organization TEXT NOT NULL,
    account TEXT NOT NULL CHECK (account IN ('issued', 'available', 'held', 'spent')),
    minutes INTEGER NOT NULL,
    PRIMARY KEY (movement, account)
) STRICT, WITHOUT ROWID;

-- The entries' sums: one row for each organization, so that who moves minutes takes one lock.
CREATE TABLE minute_totals (
    organization TEXT PRIMARY KEY REFERENCES organizations (id),
    issued INTEGER NOT NULL DEFAULT 0 CHECK (issued <= 0),
    available INTEGER NOT NULL DEFAULT 0 CHECK (available >= 0),
    held INTEGER NOT NULL DEFAULT 0 CHECK (held >= 0),
    spent INTEGER NOT NULL DEFAULT 0 CHECK (spent >= 0)
) STRICT;
INSERT INTO minute_totals (organization) SELECT id FROM organizations;

CREATE TRIGGER organizations_have_totals AFTER INSERT ON organizations
BEGIN
    INSERT INTO minute_totals (organization) VALUES (NEW.id);
END;

CREATE TRIGGER sessions_hold_minutes AFTER INSERT ON sessions
WHEN NEW.minutes > 0
BEGIN
    INSERT INTO minute_holds (session, organization, minutes, held_at)
    VALUES (NEW.id, NEW.organization, NEW.minutes, NEW.created_at);
END;

CREATE TRIGGER sessions_settle_before_they_end BEFORE UPDATE OF status ON sessions
WHEN NEW.minutes > 0 AND NEW.status IN ('ending', 'ended', 'failed')
    AND EXISTS (SELECT 1 FROM minute_holds WHERE session = NEW.id AND settled_at IS NULL)
BEGIN
    SELECT RAISE(ABORT, 'a session that ends has settled its minutes');
END;

CREATE TRIGGER holds_are_settled_once BEFORE UPDATE ON minute_holds
WHEN OLD.settled_at IS NOT NULL OR NEW.session <> OLD.session OR NEW.organization <> OLD.organization
    OR NEW.minutes <> OLD.minutes
BEGIN
    SELECT RAISE(ABORT, 'a hold is settled once, and otherwise stays');
END;

CREATE TRIGGER holds_move_minutes AFTER INSERT ON minute_holds
BEGIN
    INSERT INTO minute_movements (organization, kind, minutes, session, at)
    VALUES (NEW.organization, 'hold', NEW.minutes, NEW.session, NEW.held_at);
END;

CREATE TRIGGER settlements_move_minutes AFTER UPDATE OF settled_at ON minute_holds
WHEN NEW.settled_at IS NOT NULL
BEGIN
    INSERT INTO minute_movements (organization, kind, minutes, session, at)
    SELECT NEW.organization, 'spend', NEW.minutes - NEW.refunded, NEW.session, NEW.settled_at
    WHERE NEW.refunded < NEW.minutes;
    INSERT INTO minute_movements (organization, kind, minutes, session, at)
    SELECT NEW.organization, 'refund', NEW.refunded, NEW.session, NEW.settled_at WHERE NEW.refunded > 0;
END;

CREATE TRIGGER movements_are_pairs AFTER INSERT ON minute_movements
BEGIN
    INSERT INTO minute_entries (movement, organization, account, minutes) VALUES (
        NEW.id, NEW.organization,
        CASE NEW.kind WHEN 'hold' THEN 'available' WHEN 'spend' THEN 'held' WHEN 'refund' THEN 'held' ELSE 'issued' END,
        -NEW.minutes
    );
    INSERT INTO minute_entries (movement, organization, account, minutes) VALUES (
        NEW.id, NEW.organization,
        CASE NEW.kind WHEN 'hold' THEN 'held' WHEN 'spend' THEN 'spent' ELSE 'available' END,
        NEW.minutes
    );
END;

CREATE TRIGGER entries_are_summed AFTER INSERT ON minute_entries
BEGIN
    UPDATE minute_totals SET
        issued = issued + iif(NEW.account = 'issued', NEW.minutes, 0),
        available = available + iif(NEW.account = 'available', NEW.minutes, 0),
        held = held + iif(NEW.account = 'held', NEW.minutes, 0),
        spent = spent + iif(NEW.account = 'spent', NEW.minutes, 0)
    WHERE organization = NEW.organization;
END;

CREATE TRIGGER movements_stay BEFORE UPDATE ON minute_movements
BEGIN
    SELECT RAISE(ABORT, 'what is in the ledger stays');
END;
CREATE TRIGGER movements_are_kept BEFORE DELETE ON minute_movements
BEGIN
    SELECT RAISE(ABORT, 'what is in the ledger stays');
END;
CREATE TRIGGER entries_stay BEFORE UPDATE ON minute_entries
BEGIN
    SELECT RAISE(ABORT, 'what is in the ledger stays');
END;
CREATE TRIGGER entries_are_kept BEFORE DELETE ON minute_entries
BEGIN
    SELECT RAISE(ABORT, 'what is in the ledger stays');
END;

-- Whose browser a visitor's is. Both hashes are keyed: nothing here names a person.
CREATE TABLE demo_visits (
    session TEXT PRIMARY KEY REFERENCES sessions (id),
    visitor BLOB NOT NULL,
    address BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    disconnected_at INTEGER
) STRICT;
CREATE INDEX demo_visits_visitor ON demo_visits (visitor);
CREATE INDEX demo_visits_address ON demo_visits (address, created_at);
CREATE INDEX demo_visits_disconnected ON demo_visits (disconnected_at) WHERE disconnected_at IS NOT NULL;

DROP TRIGGER sessions_are_metered;
CREATE TRIGGER sessions_are_metered AFTER UPDATE OF status ON sessions
WHEN NEW.status IN ('ended', 'failed') AND NEW.started_at IS NOT NULL AND NEW.metered = 1
BEGIN
    INSERT INTO usage_records (session, organization, kind, weight, started_at, ended_at, duration_ms)
    VALUES (
        NEW.id, NEW.organization, NEW.kind, NEW.weight, NEW.started_at, NEW.ended_at,
        NEW.ended_at - NEW.started_at - NEW.paused_ms
    );
END;
