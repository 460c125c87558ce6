//! Metering: one record for each session that ran, written with its end, and the sums over them. Paused is not running.

use crate::backend::{Row, values};
use crate::{Result, Session, Store};
use vitrine_model::{EpochMs, Kind, OrganizationId, SessionId, Weight};

/// A session's running time. A session counts in the period in which it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageRecord {
    pub session: SessionId,
    pub organization: OrganizationId,
    pub kind: Kind,
    /// Of a browser that no minutes pay.
    pub weight: Option<Weight>,
    pub started_at: EpochMs,
    pub ended_at: EpochMs,
    pub duration_ms: u64,
}

/// Sums of a period, running sessions up to now included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Sessions that ran or run.
    pub total_sessions: u64,
    pub browser_ms: u64,
    pub sandbox_ms: u64,
    /// Of embed sessions: no part of what the plan limits.
    pub embed_ms: u64,
    pub weights: WeightCounts,
}

/// Browser sessions by weight; embed sessions have a row of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WeightCounts {
    pub light: u64,
    pub medium: u64,
    pub heavy: u64,
    /// Those that were also driven over the DevTools protocol; of the others minutes are the whole bill.
    pub embed: u64,
}

/// What stands for a weight where minutes pay.
pub(crate) const EMBED: &str = "embed";
/// What days are made of.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Sessions and milliseconds of organization `$1` since day `$2` up to `$3`: those that ended come from the days' sums, those
/// that run from their rows.
macro_rules! time_used {
    () => {
        "SELECT kind, weight, sessions, duration_ms AS ms FROM usage_days WHERE organization = $1 AND day >= $2
         UNION ALL
         SELECT kind, coalesce(weight, ''), 1,
             CASE WHEN started_at + paused_ms < coalesce(paused_at, $3)
                 THEN coalesce(paused_at, $3) - started_at - paused_ms ELSE 0 END FROM sessions
         WHERE organization = $1 AND status NOT IN ('ended', 'failed', 'queued') AND started_at IS NOT NULL
             AND metered = 1"
    };
}
pub(crate) use time_used;

fn read_weight(word: &str) -> Option<Option<Weight>> {
    if word == EMBED { Some(None) } else { Weight::parse(word).map(Some) }
}

impl Session {
    /// Under which word its time is counted.
    pub(crate) fn usage_weight(&self) -> Option<&'static str> {
        self.browser().map(|spec| if spec.embed.is_some() { EMBED } else { spec.weight.as_str() })
    }
}

impl Usage {
    fn from_rows(rows: &[Row]) -> Result<Usage> {
        let mut usage = Usage::default();
        for row in rows {
            let (sessions, ms): (u64, u64) = (row.number("sessions")?, row.number("ms")?);
            usage.total_sessions += sessions;
            let weight: String = row.get("weight")?;
            if weight == EMBED {
                usage.weights.embed += sessions;
                usage.embed_ms += ms;
                continue;
            }
            match row.word("kind", Kind::parse)? {
                Kind::Browser => usage.browser_ms += ms,
                Kind::Sandbox => usage.sandbox_ms += ms,
            }
            match Weight::parse(&weight) {
                Some(Weight::Light) => usage.weights.light += sessions,
                Some(Weight::Medium) => usage.weights.medium += sessions,
                Some(Weight::Heavy) => usage.weights.heavy += sessions,
                None => {}
            }
        }
        Ok(usage)
    }
}

impl Store {
    /// What an organization used since `period_start` (its UTC day, whole).
    pub async fn usage(&self, organization: &OrganizationId, period_start: EpochMs, now: EpochMs) -> Result<Usage> {
        const SQL: &str = concat!(
            "SELECT kind, weight, CAST(sum(sessions) AS BIGINT) AS sessions, CAST(sum(ms) AS BIGINT) AS ms FROM (",
            time_used!(),
            ") used GROUP BY kind, weight"
        );
        Usage::from_rows(&self.all(SQL, values![organization.as_str(), period_start / DAY_MS, now]).await?)
    }

    /// A session's record; `None` while it runs, or when it never did.
    pub async fn usage_record(&self, session: &SessionId) -> Result<Option<UsageRecord>> {
        const SQL: &str = "SELECT organization, kind, weight, started_at, ended_at, duration_ms
            FROM usage_records WHERE session = $1";
        let Some(row) = self.first(SQL, values![session.as_str()]).await? else { return Ok(None) };
        Ok(Some(UsageRecord {
            session: session.clone(),
            organization: row.word("organization", |text| OrganizationId::parse(text).ok())?,
            kind: row.word("kind", Kind::parse)?,
            weight: row.maybe_word("weight", read_weight)?.flatten(),
            started_at: row.get("started_at")?,
            ended_at: row.get("ended_at")?,
            duration_ms: row.number("duration_ms")?,
        }))
    }
}
