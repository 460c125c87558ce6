//! The terminals of one sandbox.

use super::Sandbox;
use super::exec::{ExecError, overlay};
use super::terminal::{Alone, Terminal};
use crate::clock;
use crate::node::Shared;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::sleep;
use vitrine_capsule::{Capsule, Exec, ExecState, Process, Stdio, User};
use vitrine_model::{EndReason, EpochMs};

/// Terminals of one sandbox: each remembers up to a mebibyte.
const TERMINALS_MAX: usize = 16;
/// The label of a terminal's program, before when it was opened.
const LABEL: &str = "terminal ";
/// Between two looks for terminals that nobody needs any more.
const TIDY_EVERY: Duration = Duration::from_secs(5);
/// How long a terminal's output, or a terminal that nobody came to, is kept after the last client.
const KEPT_MS: EpochMs = 60_000;
const KEPT: Duration = Duration::from_millis(KEPT_MS as u64);
/// What full-screen programs are told of the terminal.
const TERM: (&str, &str) = ("TERM", "xterm-256color");

/// All terminals, by the numbers of their programs.
#[derive(Default)]
pub(crate) struct Terminals {
    all: Mutex<BTreeMap<u64, Arc<Terminal>>>,
}

/// A terminal to be opened.
pub(crate) struct Opening {
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: String,
    pub(crate) cols: u16,
    pub(crate) rows: u16,
}

/// A terminal, as it is listed.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Listed {
    terminal_id: u64,
    created_at: EpochMs,
    clients: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
}

/// Why there is no terminal.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TerminalError {
    #[error("the sandbox has {TERMINALS_MAX} terminals already")]
    TooMany,
    #[error(transparent)]
    Exec(#[from] ExecError),
}

impl Sandbox {
    /// Opens a terminal; nobody looks at it yet.
    pub(crate) async fn open_terminal(&self, shared: &Shared, opening: Opening) -> Result<u64, TerminalError> {
        if self.is_frozen() {
            return Err(ExecError::Paused.into());
        }
        if self.terminals.lock().len() >= TERMINALS_MAX {
            return Err(TerminalError::TooMany);
        }
        let mut env = self.environment.clone();
        overlay(&mut env, vec![(TERM.0.into(), TERM.1.into())]);
        overlay(&mut env, opening.env);
        let created_at = clock::now();
        let exec = Exec {
            name: format!("{LABEL}{created_at}"),
            argv: opening.argv,
            env,
            cwd: opening.cwd,
            user: User::Root,
            stdio: Stdio::Terminal { cols: opening.cols, rows: opening.rows },
        };
        let process = self.start(exec).await?;
        self.terminals.keep(created_at, process, shared).ok_or(ExecError::Lost.into())
    }
}

impl Terminals {
    /// A terminal that an earlier node opened.
    pub(super) async fn attach(&self, capsule: &Capsule, program: ExecState, shared: &Shared) {
        let created_at = program.name.strip_prefix(LABEL).and_then(|at| at.parse().ok()).unwrap_or_else(clock::now);
        match capsule.attach(program.exec).await {
            Ok(process) => drop(self.keep(created_at, process, shared)),
            Err(error) => tracing::warn!(capsule = capsule.id(), %error, "a terminal was not found again"),
        }
    }

    fn keep(&self, created_at: EpochMs, mut process: Process, shared: &Shared) -> Option<u64> {
        let screen = process.take_terminal()?;
        let terminal = Arc::new(Terminal::new(created_at, process, screen));
        self.lock().insert(terminal.id, terminal.clone());
        let id = terminal.id;
        // Ends with the program, and that with its capsule.
        shared.serve(async move { terminal.listen().await });
        Some(id)
    }

    pub(super) fn find(&self, id: u64) -> Option<Arc<Terminal>> {
        self.lock().get(&id).cloned()
    }

    pub(crate) fn list(&self) -> Vec<Listed> {
        let listed = |terminal: &Arc<Terminal>| Listed {
            terminal_id: terminal.id,
            created_at: terminal.created_at,
            clients: terminal.clients(),
            exit_code: terminal.exit_code(),
        };
        self.lock().values().map(listed).collect()
    }

    /// Ends one, whoever looks at it; false when there is none.
    pub(crate) async fn end(&self, id: u64) -> bool {
        let Some(terminal) = self.lock().remove(&id) else { return false };
        terminal.kill().await;
        terminal.close(None);
        true
    }

    /// The sandbox ends, or moves to disk.
    pub(super) fn close(&self, reason: Option<EndReason>) {
        self.lock().values().for_each(|terminal| terminal.close(reason));
    }

    /// Lets go of what nobody has looked at for a while; never ends by itself.
    ///
    /// A program that somebody started in a terminal and left goes on; only what it said before is forgotten.
    pub(super) async fn tidy(&self) -> ! {
        loop {
            sleep(TIDY_EVERY).await;
            let all: Vec<_> = self.lock().values().cloned().collect();
            for terminal in all {
                let over = terminal.exit_code().is_some();
                match terminal.alone() {
                    Alone::No => {}
                    Alone::Always if !clock::until(terminal.created_at + KEPT_MS).is_zero() => {}
                    Alone::Since(at) if at.elapsed() < KEPT => {}
                    Alone::Since(_) if !over => terminal.forget(),
                    Alone::Always | Alone::Since(_) => drop(self.end(terminal.id).await),
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Terminal>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
