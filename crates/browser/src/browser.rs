//! One running Chromium. Assumes that its DevTools port is reached through the host; promises that `launch` returns only
//! what answers, and that no background task is left by it.

use crate::discovery::{self, DEVTOOLS_PORT, Version};
use crate::error::BrowserError;
use crate::host::{Exit, Host, Running};
use crate::launch::{Build, Launch};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use vitrine_cdp::protocol::browser::Close;
use vitrine_cdp::protocol::page::BringToFront;
use vitrine_cdp::protocol::runtime::Evaluate;
use vitrine_cdp::protocol::target::{CreateTarget, DetachFromTarget, GetTargets, TargetId};
use vitrine_cdp::{CdpError, Connection};

/// How long a browser may take to be ready.
pub const LAUNCH_LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at a port that does not answer yet: a start takes about 100 ms.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A Chromium that answers.
pub struct Browser {
    host: Arc<dyn Host>,
    running: Box<dyn Running>,
    version: Version,
    path: String,
    connection: Mutex<Option<Connection>>,
}

impl Browser {
    /// Starts a browser and waits until it answers and its blank page runs scripts.
    pub async fn launch(host: Arc<dyn Host>, launch: &Launch) -> Result<Browser, BrowserError> {
        let running = host.spawn(launch.command()).await?;
        let ready = Browser::ready(host, running, LAUNCH_LIMIT).await?;
        match ready.warm_up(launch.build).await {
            Ok(()) => Ok(ready),
            Err(error) => {
                ready.running.kill().await;
                Err(error)
            }
        }
    }

    /// Takes a running browser up again, with the pages that it has.
    pub async fn attach(
        host: Arc<dyn Host>,
        running: Box<dyn Running>,
        limit: Duration,
    ) -> Result<Browser, BrowserError> {
        Browser::ready(host, running, limit).await
    }

    /// `/devtools/browser/UUID`, stable for the life of the process.
    pub fn websocket_path(&self) -> &str {
        &self.path
    }

    /// `HeadlessChrome/148.0.1.2`.
    pub fn product(&self) -> &str {
        &self.version.product
    }

    pub fn user_agent(&self) -> &str {
        &self.version.user_agent
    }

    pub fn protocol_version(&self) -> &str {
        &self.version.protocol_version
    }

    /// The program, for whoever adopts it later.
    pub fn running(&self) -> &dyn Running {
        &*self.running
    }

    /// Our own DevTools connection: made when first needed, and again when it was lost.
    pub async fn connection(&self) -> Result<Connection, BrowserError> {
        let mut kept = self.connection.lock().await;
        if let Some(connection) = kept.as_ref().filter(|connection| connection.is_open()) {
            return Ok(connection.clone());
        }
        let stream =
            self.host.dial(DEVTOOLS_PORT).await.map_err(|error| BrowserError::Unreachable(error.to_string()))?;
        let connection = Connection::new(stream, &self.path).await?;
        *kept = Some(connection.clone());
        Ok(connection)
    }

    /// Whether the browser answers: a round trip to its main thread, and the same browser as before.
    pub async fn probe(&self, limit: Duration) -> Result<(), BrowserError> {
        let late = || BrowserError::Unreachable(format!("no answer within {limit:?}"));
        let version = timeout(limit, discovery::version(&*self.host)).await.map_err(|_| late())??;
        if version.websocket_path() == Some(&self.path) {
            Ok(())
        } else {
            Err(BrowserError::Unreachable("another browser answers in its place".into()))
        }
    }

    /// Waits for the end of the main process.
    pub async fn exited(&self) -> Exit {
        self.running.wait().await
    }

    /// Asks the browser to end, so that it writes its profile; kills it when it takes longer than `grace`.
    pub async fn close(&self, grace: Duration) -> Exit {
        let asked = async {
            match self.connection().await {
                // The browser may be gone before its answer is: that is what was asked for.
                Ok(connection) => drop(connection.call(Close {}).await),
                Err(error) => tracing::debug!(%error, "the browser cannot be asked to end"),
            }
            self.exited().await
        };
        match timeout(grace, asked).await {
            Ok(exit) => exit,
            Err(_) => {
                self.running.kill().await;
                self.exited().await
            }
        }
    }

    async fn ready(host: Arc<dyn Host>, running: Box<dyn Running>, limit: Duration) -> Result<Browser, BrowserError> {
        let answered = tokio::select! {
            exit = running.wait() => return Err(BrowserError::Died { exit, output: running.tail().await }),
            answered = answer(&*host, limit) => answered,
        };
        match answered {
            Ok((version, path)) => Ok(Browser { host, running, version, path, connection: Mutex::default() }),
            Err(last) => {
                let output = running.tail().await;
                running.kill().await;
                Err(BrowserError::NotReady { limit, last: last.to_string(), output })
            }
        }
    }

    /// Makes the blank page run a script, so that its renderer is there before the first client is.
    async fn warm_up(&self, build: Build) -> Result<(), BrowserError> {
        let connection = self.connection().await?;
        let session = connection.attach(&blank_page(&connection).await?).await?;
        session.call(Evaluate { expression: "0".into(), ..Evaluate::default() }).await?;
        if build == Build::Chromium {
            // Its first page has no focus otherwise, which no page in front of a person lacks.
            session.call(BringToFront {}).await?;
        }
        connection.call(DetachFromTarget { session_id: Some(session.id().clone()) }).await?;
        // Nothing of ours stays connected to a browser that nobody uses yet.
        self.connection.lock().await.take();
        connection.close().await;
        Ok(())
    }
}

async fn blank_page(connection: &Connection) -> Result<TargetId, CdpError> {
    let targets = connection.call(GetTargets::default()).await?.target_infos;
    match targets.into_iter().find(|target| target.r#type == "page") {
        Some(page) => Ok(page.target_id),
        None => {
            Ok(connection.call(CreateTarget { url: "about:blank".into(), ..CreateTarget::default() }).await?.target_id)
        }
    }
}

/// Looks until the DevTools port answers, or gives the last failure.
async fn answer(host: &dyn Host, limit: Duration) -> Result<(Version, String), BrowserError> {
    let until = Instant::now() + limit;
    loop {
        let failure = match timeout_at(until, discovery::version(host)).await {
            Ok(Ok(version)) => match version.websocket_path().map(str::to_owned) {
                Some(path) => return Ok((version, path)),
                None => BrowserError::Unreachable("no WebSocket address in its answer".into()),
            },
            Ok(Err(error)) => error,
            Err(_) => BrowserError::Unreachable("no answer".into()),
        };
        if Instant::now() >= until {
            return Err(failure);
        }
        sleep(LOOK_AGAIN).await;
    }
}
