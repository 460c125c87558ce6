//! How the deployment is: counts for `/health` and `/metrics`, and what must hold at every moment.

use crate::backend::values;
use crate::{MachineState, Result, Store, StoreError};
use vitrine_model::{EpochMs, Kind, Status};

/// How many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Sessions that are not over; what there is none of is left out.
    pub sessions: Vec<(Kind, Status, u64)>,
    /// States without any are left out.
    pub machines: Vec<(MachineState, u64)>,
}

/// Sessions that ended lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecentEnds {
    pub total: u64,
    /// Failed through no fault of the client: machine lost or restarted, process lost, image missing, not started.
    pub platform_errors: u64,
}

impl Counts {
    /// Sessions that are not over.
    pub fn live(&self) -> u64 {
        self.sessions.iter().map(|(_, _, count)| count).sum()
    }

    /// Sessions in a state.
    pub fn sessions_in(&self, status: Status) -> u64 {
        self.sessions.iter().filter(|(_, known, _)| *known == status).map(|(_, _, count)| count).sum()
    }

    /// Sessions of a kind in a state.
    pub fn sessions_of(&self, kind: Kind, status: Status) -> u64 {
        self.sessions.iter().filter(|known| (known.0, known.1) == (kind, status)).map(|(_, _, count)| count).sum()
    }

    /// Machines in a state.
    pub fn machines_in(&self, state: MachineState) -> u64 {
        self.machines.iter().filter(|(known, _)| *known == state).map(|(_, count)| count).sum()
    }
}

/// What must hold of everything that is alive: a sentence, and a statement that finds what breaks it. The statements read
/// live rows only, so that a watchdog can ask often.
const LIVE_RULES: [(&str, &str); 8] = [
    (
        "a machine's counters are the sums over its live sessions",
        "SELECT m.id AS what FROM machines m LEFT JOIN (
             SELECT machine_id, count(*) AS slots, sum(reserve_mb) AS reserve FROM sessions
             WHERE machine_id IS NOT NULL AND status NOT IN ('ended', 'failed') AND stored = 0 GROUP BY machine_id
         ) s ON s.machine_id = m.id
         WHERE m.slots_used <> coalesce(s.slots, 0) OR m.reserve_used_mb <> coalesce(s.reserve, 0)",
    ),
    (
        "a live session carries its machine's epoch",
        "SELECT s.id AS what FROM sessions s JOIN machines m ON m.id = s.machine_id
         WHERE s.status NOT IN ('ended', 'failed') AND s.machine_epoch <> m.epoch",
    ),
    (
        "a lost machine holds no session",
        "SELECT m.id AS what FROM machines m WHERE m.state = 'lost' AND m.slots_used <> 0",
    ),
    (
        "a machine is one organization's own exactly while it holds dedicated sessions of it",
        "SELECT m.id AS what FROM machines m LEFT JOIN (
             SELECT machine_id, min(organization) AS first, max(organization) AS last FROM sessions
             WHERE machine_id IS NOT NULL AND status NOT IN ('ended', 'failed') AND isolation = 'dedicated'
             GROUP BY machine_id
         ) s ON s.machine_id = m.id
         WHERE coalesce(m.exclusive_organization, '') <> coalesce(s.first, '')
            OR coalesce(m.exclusive_organization, '') <> coalesce(s.last, '')",
    ),
    (
        "an organization's own machine holds no other organization's session",
        "SELECT s.id AS what FROM sessions s JOIN machines m ON m.id = s.machine_id
         WHERE s.status NOT IN ('ended', 'failed') AND s.stored = 0 AND s.organization <> m.exclusive_organization",
    ),
    (
        "a session that minutes pay for holds them",
        "SELECT s.id AS what FROM sessions s LEFT JOIN minute_holds h
             ON h.session = s.id AND h.organization = s.organization AND h.minutes = s.minutes AND h.settled_at IS NULL
         WHERE s.status NOT IN ('ended', 'failed') AND s.status <> 'ending' AND s.minutes > 0 AND h.session IS NULL",
    ),
    (
        "what is held is held by sessions that are not ending",
        "SELECT t.organization AS what FROM minute_totals t LEFT JOIN (
             SELECT h.organization, sum(h.minutes) AS minutes FROM minute_holds h JOIN sessions s ON s.id = h.session
             WHERE h.settled_at IS NULL AND s.status NOT IN ('ending', 'ended', 'failed') GROUP BY h.organization
         ) h ON h.organization = t.organization
         WHERE t.held <> coalesce(h.minutes, 0)",
    ),
    (
        "all accounts of an organization add up to nothing",
        "SELECT organization AS what FROM minute_totals WHERE issued + available + held + spent <> 0",
    ),
];

/// What must hold of everything that was kept. The statements read the whole past.
const PAST_RULES: [(&str, &str); 8] = [
    (
        "what is over has its end and its reason",
        "SELECT id AS what FROM sessions WHERE status IN ('ended', 'failed') AND (ended_at IS NULL OR end_reason IS NULL)",
    ),
    (
        "what ran and is over has a usage record of its duration",
        "SELECT s.id AS what FROM sessions s LEFT JOIN usage_records u ON u.session = s.id
         WHERE s.ended_at IS NOT NULL AND s.started_at IS NOT NULL
           AND s.metered = 1 AND (u.session IS NULL OR u.duration_ms <> s.ended_at - s.started_at - s.paused_ms)",
    ),
    (
        "the days are the sums of the usage records",
        "SELECT d.organization AS what FROM usage_days d LEFT JOIN (
             SELECT organization, kind, coalesce(weight, '') AS weight, ended_at / 86400000 AS day,
                 count(*) AS sessions, sum(duration_ms) AS ms
             FROM usage_records GROUP BY organization, kind, coalesce(weight, ''), ended_at / 86400000
         ) u ON u.organization = d.organization AND u.kind = d.kind AND u.weight = d.weight AND u.day = d.day
         WHERE d.sessions <> coalesce(u.sessions, 0) OR d.duration_ms <> coalesce(u.ms, 0)",
    ),
    (
        "a pack is due exactly while no checkpoint names it",
        "SELECT p.sha256 AS what FROM packs p WHERE (p.due_at IS NULL) <> EXISTS (
             SELECT 1 FROM checkpoint_packs c WHERE c.organization = p.organization AND c.pack = p.sha256)",
    ),
    (
        "an account is the sum of its entries",
        "SELECT t.organization AS what FROM minute_totals t LEFT JOIN (
             SELECT organization,
                 sum(CASE account WHEN 'issued' THEN minutes ELSE 0 END) AS issued,
                 sum(CASE account WHEN 'available' THEN minutes ELSE 0 END) AS available,
                 sum(CASE account WHEN 'held' THEN minutes ELSE 0 END) AS held,
                 sum(CASE account WHEN 'spent' THEN minutes ELSE 0 END) AS spent
             FROM minute_entries GROUP BY organization
         ) e ON e.organization = t.organization
         WHERE t.issued <> coalesce(e.issued, 0) OR t.available <> coalesce(e.available, 0)
            OR t.held <> coalesce(e.held, 0) OR t.spent <> coalesce(e.spent, 0)",
    ),
    (
        "a movement is a pair of entries that cancel each other out",
        "SELECT cast(m.id AS TEXT) AS what FROM minute_movements m LEFT JOIN minute_entries e ON e.movement = m.id
         GROUP BY m.id, m.minutes
         HAVING count(e.account) <> 2 OR sum(e.minutes) <> 0 OR max(e.minutes) <> m.minutes",
    ),
    (
        "a session that minutes paid for was paid once, in full",
        "SELECT s.id AS what FROM sessions s
         LEFT JOIN minute_holds h ON h.session = s.id AND h.organization = s.organization AND h.minutes = s.minutes
         LEFT JOIN (
             SELECT session,
                 sum(CASE kind WHEN 'hold' THEN minutes ELSE 0 END) AS held,
                 sum(CASE kind WHEN 'spend' THEN minutes ELSE 0 END) AS spent,
                 sum(CASE kind WHEN 'refund' THEN minutes ELSE 0 END) AS refunded
             FROM minute_movements WHERE session IS NOT NULL GROUP BY session
         ) m ON m.session = s.id
         WHERE s.minutes > 0 AND s.status IN ('ending', 'ended', 'failed') AND (
             h.refunded IS NULL OR m.held IS NULL OR m.held <> h.minutes OR m.refunded <> h.refunded
             OR m.spent <> h.minutes - h.refunded)",
    ),
    (
        "a paid order was credited once",
        "SELECT o.id AS what FROM orders o LEFT JOIN minute_movements m
             ON m.order_id = o.id AND m.minutes = o.minutes AND m.organization = o.organization
         WHERE (o.status = 'paid') <> (m.id IS NOT NULL)",
    ),
];

impl Store {
    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.first("SELECT id FROM reaper", &[]).await?.map(|_| ()).ok_or(StoreError::Missing("reaper"))
    }

    /// Live sessions by status, machines by state.
    pub async fn counts(&self) -> Result<Counts> {
        const SESSIONS: &str = "SELECT kind, status AS word, count(*) AS many FROM sessions
            WHERE status NOT IN ('ended', 'failed') GROUP BY kind, status ORDER BY kind, status";
        const MACHINES: &str = "SELECT state AS word, count(*) AS many FROM machines GROUP BY state ORDER BY state";
        let mut counts = Counts::default();
        for row in self.all(SESSIONS, &[]).await? {
            let (kind, status) = (row.word("kind", Kind::parse)?, row.word("word", Status::parse)?);
            counts.sessions.push((kind, status, row.number("many")?));
        }
        for row in self.all(MACHINES, &[]).await? {
            counts.machines.push((row.word("word", MachineState::parse)?, row.number("many")?));
        }
        Ok(counts)
    }

    /// Sessions that ended since then.
    pub async fn recent_ends(&self, since: EpochMs) -> Result<RecentEnds> {
        const SQL: &str = "SELECT count(*) AS total, count(*) FILTER (WHERE status = 'failed' AND (
                end_reason IN ('machine_lost', 'machine_restarted', 'process_lost')
                OR error_reason IN ('image_missing', 'start_failed'))) AS platform
            FROM sessions WHERE ended_at >= $1 AND ended_at IS NOT NULL";
        let row = self.first(SQL, values![since]).await?.ok_or(StoreError::Missing("count"))?;
        Ok(RecentEnds { total: row.number("total")?, platform_errors: row.number("platform")? })
    }

    /// What does not hold of the living although it must: a sentence each; empty when all is well.
    pub async fn invariants(&self) -> Result<Vec<String>> {
        self.broken(&LIVE_RULES).await
    }

    /// The same of everything that is over; reads the whole past.
    pub async fn past_invariants(&self) -> Result<Vec<String>> {
        self.broken(&PAST_RULES).await
    }

    async fn broken(&self, rules: &[(&str, &'static str)]) -> Result<Vec<String>> {
        let mut broken = Vec::new();
        for (rule, sql) in rules {
            for row in self.all(*sql, &[]).await? {
                broken.push(format!("{rule}: not {}", row.get::<String>("what")?));
            }
        }
        Ok(broken)
    }
}
