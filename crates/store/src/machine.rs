//! Machines: registration with adoption, beats, draining.

use crate::backend::{Row, Sql, Transaction, locking, retry, values};
use crate::{Result, Session, Store, StoreError};
use vitrine_model::wire::{Alive, BeatAnswer, NotReady, Register, Traffic};
use vitrine_model::{EndReason, EpochMs, MachineId, OrganizationId, SchedulingReason, SessionId, Status};

/// What is known of a machine's node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MachineState {
    /// Registered, and cannot take sessions yet.
    Starting,
    /// Takes sessions, unless it is draining.
    Ready,
    /// Silent for longer than its lease.
    Lost,
}

/// A machine and its lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub id: MachineId,
    pub provider: String,
    pub region_code: String,
    pub region_global: String,
    pub state: MachineState,
    /// The operator wants it empty: nothing new is placed on it.
    pub draining: bool,
    pub epoch: i64,
    pub boot_id: String,
    pub version: String,
    pub reserve_total_mb: u32,
    pub reserve_used_mb: u32,
    pub slots_total: u32,
    pub slots_used: u32,
    /// Whose dedicated sessions it holds.
    pub exclusive_organization: Option<OrganizationId>,
    pub not_ready: Option<NotReady>,
    pub registered_at: EpochMs,
    pub beat_at: EpochMs,
    pub lease_until: EpochMs,
}

/// What a registration did.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Carried by every later word of the node; the server signs the node's token over `(machine, epoch)`.
    pub epoch: i64,
    /// They live on under the new epoch.
    pub adopted: Vec<Session>,
    /// They are paused, and the machine keeps their disks.
    pub stored: Vec<SessionId>,
    /// They did not live on: queued again, paused again, ended or failed.
    pub dropped: Vec<Session>,
}

impl MachineState {
    /// The word in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            MachineState::Starting => "starting",
            MachineState::Ready => "ready",
            MachineState::Lost => "lost",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<MachineState> {
        [MachineState::Starting, MachineState::Ready, MachineState::Lost]
            .into_iter()
            .find(|state| state.as_str() == word)
    }
}

impl Machine {
    fn from_row(row: &Row) -> Result<Machine> {
        Ok(Machine {
            id: row.word("id", |text| MachineId::parse(text).ok())?,
            provider: row.get("provider")?,
            region_code: row.get("region_code")?,
            region_global: row.get("region_global")?,
            state: row.word("state", MachineState::parse)?,
            draining: row.get::<i64>("draining")? != 0,
            epoch: row.get("epoch")?,
            boot_id: row.get("boot_id")?,
            version: row.get("version")?,
            reserve_total_mb: row.number("reserve_total_mb")?,
            reserve_used_mb: row.number("reserve_used_mb")?,
            slots_total: row.number("slots_total")?,
            slots_used: row.number("slots_used")?,
            exclusive_organization: row
                .maybe_word("exclusive_organization", |text| OrganizationId::parse(text).ok())?,
            not_ready: not_ready(row)?,
            registered_at: row.get("registered_at")?,
            beat_at: row.get("beat_at")?,
            lease_until: row.get("lease_until")?,
        })
    }
}

fn not_ready(row: &Row) -> Result<Option<NotReady>> {
    let reason = row.maybe_word("not_ready_reason", SchedulingReason::parse)?;
    let message: Option<String> = row.get("not_ready_message")?;
    Ok(reason.map(|reason| NotReady { reason, message: message.unwrap_or_default() }))
}

impl Store {
    /// A node introduces itself: its machine gets a new epoch, and its sessions live on, end, fail or are queued again.
    pub async fn register_machine(&self, register: &Register, now: EpochMs, lease_ms: i64) -> Result<Registration> {
        retry(|| self.register_once(register, now, lease_ms)).await
    }

    async fn register_once(&self, register: &Register, now: EpochMs, lease_ms: i64) -> Result<Registration> {
        let mut tx = self.begin().await?;
        let (epoch, boot_id) = tx.machine_before(register, now).await?;
        let (adopted, stored, dropped) = (Vec::new(), Vec::new(), Vec::new());
        let mut registration = Registration { epoch: epoch + 1, adopted, stored, dropped };
        let same_boot = boot_id == register.boot_id;
        for mut session in tx.sessions_on(&register.machine).await? {
            let is_running = session.status != Status::Assigning && !session.stored;
            if same_boot && is_running && is_alive(&session, &register.alive) {
                tx.apply(&mut session, |session| session.adopt(epoch + 1, now)).await?;
                registration.adopted.push(session);
                continue;
            }
            let was = session.status;
            let (reason, message) = match same_boot {
                true => (EndReason::ProcessLost, "its process was gone when the node came back"),
                false => (EndReason::MachineRestarted, "the machine booted anew"),
            };
            tx.apply(&mut session, |session| session.lose(reason, message, epoch + 1, now)).await?;
            if session.stored {
                registration.stored.push(session.id.clone());
            }
            if session.status != was {
                registration.dropped.push(session);
            }
        }
        tx.machine_after(register, epoch + 1, now, lease_ms).await?;
        tx.commit().await?;
        Ok(registration)
    }

    /// A sign of life: extends the lease, notes whether the machine can take sessions and what its sessions moved.
    pub async fn beat(
        &self,
        machine: &MachineId,
        epoch: i64,
        not_ready: Option<&NotReady>,
        traffic: &[Traffic],
        now: EpochMs,
        lease_ms: i64,
    ) -> Result<BeatAnswer> {
        const EXTEND: &str =
            "UPDATE machine_leases SET beat_at = $3, lease_until = $4 WHERE machine_id = $1 AND epoch = $2";
        const BEFORE: &str =
            "SELECT draining, state, not_ready_reason, not_ready_message FROM machines WHERE id = $1 AND epoch = $2";
        // Each statement is guarded by the epoch itself: a beat needs no transaction and waits for no placement.
        if self.run(EXTEND, values![machine.as_str(), epoch, now, now + lease_ms]).await? == 0 {
            return Ok(BeatAnswer::NotYours);
        }
        let Some(row) = self.first(BEFORE, values![machine.as_str(), epoch]).await? else {
            return Ok(BeatAnswer::NotYours);
        };
        let state = if not_ready.is_some() { MachineState::Starting } else { MachineState::Ready };
        if row.word("state", MachineState::parse)? != state || self::not_ready(&row)?.as_ref() != not_ready {
            const SQL: &str = "UPDATE machines SET state = $3, not_ready_reason = $4, not_ready_message = $5
                WHERE id = $1 AND epoch = $2";
            let reason = not_ready.map(|not_ready| not_ready.reason.as_str());
            let message = not_ready.map(|not_ready| not_ready.message.as_str());
            self.run(SQL, values![machine.as_str(), epoch, state.as_str(), reason, message]).await?;
        }
        if !traffic.is_empty() {
            retry(|| self.note_traffic(machine, epoch, traffic)).await?;
        }
        Ok(BeatAnswer::Extended { draining: row.get::<i64>("draining")? != 0 })
    }

    async fn note_traffic(&self, machine: &MachineId, epoch: i64, traffic: &[Traffic]) -> Result<()> {
        const SQL: Sql = Sql {
            // The plus keeps SQLite from looking through the whole report for each of the machine's sessions.
            sqlite: "UPDATE sessions
                SET bytes_in = bytes_in_before + (moved.value ->> 'bytes_in'),
                    bytes_out = bytes_out_before + (moved.value ->> 'bytes_out')
                FROM json_each($3) moved
                WHERE sessions.id = moved.value ->> 'session' AND generation = moved.value ->> 'generation'
                  AND +machine_id = $1 AND machine_epoch = $2 AND status NOT IN ('ended', 'failed')",
            postgres: "UPDATE sessions SET bytes_in = bytes_in_before + moved.bytes_in,
                    bytes_out = bytes_out_before + moved.bytes_out
                FROM json_to_recordset($3::json)
                  AS moved (session TEXT, generation BIGINT, bytes_in BIGINT, bytes_out BIGINT)
                WHERE sessions.id = moved.session AND sessions.generation = moved.generation
                  AND machine_id = $1 AND machine_epoch = $2 AND status NOT IN ('ended', 'failed')",
        };
        let traffic = serde_json::to_string(traffic).map_err(|error| StoreError::Encode("traffic", error))?;
        self.run(SQL, values![machine.as_str(), epoch, traffic]).await?;
        Ok(())
    }

    /// Whether `epoch` still holds the machine.
    pub async fn holds_machine(&self, machine: &MachineId, epoch: i64) -> Result<bool> {
        const SQL: &str = "SELECT id FROM machines WHERE id = $1 AND epoch = $2";
        Ok(self.first(SQL, values![machine.as_str(), epoch]).await?.is_some())
    }

    /// All machines, lost ones too.
    pub async fn machines(&self) -> Result<Vec<Machine>> {
        const SQL: &str =
            "SELECT m.id, m.provider, m.region_code, m.region_global, m.state, m.draining, m.epoch, m.boot_id,
                m.version, m.reserve_total_mb, m.reserve_used_mb, m.slots_total, m.slots_used, m.exclusive_organization,
                m.not_ready_reason, m.not_ready_message, m.registered_at, l.beat_at, l.lease_until
            FROM machines m JOIN machine_leases l ON l.machine_id = m.id ORDER BY m.id";
        self.all(SQL, &[]).await?.iter().map(Machine::from_row).collect()
    }

    /// Stops or resumes placement on a machine; its sessions stay. `false`: no such machine.
    pub async fn set_draining(&self, machine: &MachineId, draining: bool) -> Result<bool> {
        const SQL: &str = "UPDATE machines SET draining = $2 WHERE id = $1";
        Ok(self.run(SQL, values![machine.as_str(), draining]).await? == 1)
    }
}

fn is_alive(session: &Session, alive: &[Alive]) -> bool {
    alive.iter().any(|alive| {
        alive.session == session.id
            && alive.generation == session.generation
            && session.run.as_ref() == Some(&alive.run)
    })
}

impl Transaction {
    /// Locks the machine's row, which is made when it is missing; answers its last epoch and boot.
    async fn machine_before(&mut self, register: &Register, now: EpochMs) -> Result<(i64, String)> {
        self.run(
            "INSERT INTO machines (id, provider, region_code, region_global, state, epoch, boot_id, version,
                 reserve_total_mb, slots_total, registered_at)
             VALUES ($1, $2, $3, $4, 'starting', 0, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING",
            values![
                register.machine.as_str(),
                register.provider.as_str(),
                register.region_code.as_str(),
                register.region_global.as_str(),
                register.boot_id.as_str(),
                register.version.as_str(),
                register.reserve_total_mb,
                register.slots_total,
                now,
            ],
        )
        .await?;
        const SQL: Sql = locking!("SELECT epoch, boot_id FROM machines WHERE id = $1", "FOR NO KEY UPDATE");
        let row = self.first(SQL, values![register.machine.as_str()]).await?.ok_or(StoreError::Missing("machine"))?;
        Ok((row.get("epoch")?, row.get("boot_id")?))
    }

    /// What the machine says of itself, and a new lease. It has to beat before it is given anything.
    async fn machine_after(&mut self, register: &Register, epoch: i64, now: EpochMs, lease_ms: i64) -> Result<()> {
        // A machine that comes back smaller keeps room for what it holds.
        self.run(
            "UPDATE machines SET provider = $2, region_code = $3, region_global = $4, state = 'starting', epoch = $5,
                 boot_id = $6, version = $7, registered_at = $10, not_ready_reason = NULL, not_ready_message = NULL,
                 reserve_total_mb = CASE WHEN reserve_used_mb > $8 THEN reserve_used_mb ELSE $8 END,
                 slots_total = CASE WHEN slots_used > $9 THEN slots_used ELSE $9 END
             WHERE id = $1",
            values![
                register.machine.as_str(),
                register.provider.as_str(),
                register.region_code.as_str(),
                register.region_global.as_str(),
                epoch,
                register.boot_id.as_str(),
                register.version.as_str(),
                register.reserve_total_mb,
                register.slots_total,
                now,
            ],
        )
        .await?;
        self.run(
            "INSERT INTO machine_leases (machine_id, epoch, beat_at, lease_until) VALUES ($1, $2, $3, $4)
             ON CONFLICT (machine_id) DO UPDATE
             SET epoch = excluded.epoch, beat_at = excluded.beat_at, lease_until = excluded.lease_until",
            values![register.machine.as_str(), epoch, now, now + lease_ms],
        )
        .await?;
        Ok(())
    }
}
