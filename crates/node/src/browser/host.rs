//! A capsule as the place where a browser runs.

use futures_util::future::BoxFuture;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;
use vitrine_browser::{Command, Exit, Host, HostError, Running};
use vitrine_capsule::{Capsule, Exec, Process, Stdio, User};

/// The label by which a restarted node finds the browser among the capsule's programs.
const BROWSER: &str = "browser";
const SIGKILL: i32 = 9;

/// A capsule, for the browser crate.
pub(crate) struct CapsuleHost {
    capsule: Arc<Capsule>,
    environment: Vec<(String, String)>,
}

impl CapsuleHost {
    /// `environment` is the image's: the command's own variables come on top.
    pub(crate) fn new(capsule: Arc<Capsule>, environment: Vec<(String, String)>) -> Self {
        Self { capsule, environment }
    }

    /// The browser that an earlier node started.
    pub(crate) async fn running(&self) -> Result<Box<dyn Running>, HostError> {
        let programs = self.capsule.execs().await.map_err(|error| HostError(error.to_string()))?;
        let browser = programs.into_iter().rev().find(|program| program.name == BROWSER);
        let id = browser.ok_or_else(|| HostError("no browser was started in it".into()))?.exec;
        let process = self.capsule.attach(id).await.map_err(|error| HostError(error.to_string()))?;
        Ok(Box::new(Program(process)))
    }
}

impl Host for CapsuleHost {
    fn spawn(&self, command: Command) -> BoxFuture<'_, Result<Box<dyn Running>, HostError>> {
        Box::pin(async move {
            let mut env = self.environment.clone();
            env.retain(|(name, _)| !command.env.iter().any(|(other, _)| other == name));
            env.extend(command.env);
            let exec = Exec {
                name: BROWSER.into(),
                argv: command.argv,
                env,
                cwd: command.cwd,
                user: User::Ordinary,
                stdio: Stdio::Tail,
            };
            let process = self.capsule.exec(exec).await.map_err(|error| HostError(error.to_string()))?;
            Ok(Box::new(Program(process)) as Box<dyn Running>)
        })
    }

    fn dial(&self, port: u16) -> BoxFuture<'_, io::Result<TcpStream>> {
        Box::pin(async move {
            let stream = self.capsule.network().connect(port).await.map_err(io::Error::other)?;
            TcpStream::from_std(stream)
        })
    }
}

/// A program in a capsule.
struct Program(Process);

impl Running for Program {
    fn id(&self) -> String {
        self.0.id().to_string()
    }

    fn wait(&self) -> BoxFuture<'_, Exit> {
        Box::pin(async move {
            match self.0.wait().await.map(|ended| ended.exit) {
                Ok(vitrine_capsule::Exit::Code(code)) => Exit::Code(code),
                Ok(vitrine_capsule::Exit::Signal(signal)) => Exit::Signal(signal),
                // Nobody is left to ask: process 1 is gone, and with it everything in the capsule.
                Err(_) => Exit::Signal(SIGKILL),
            }
        })
    }

    fn kill(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if let Err(error) = self.0.kill(SIGKILL).await {
                tracing::debug!(%error, "a program could not be killed, most likely because it is gone");
            }
        })
    }

    fn tail(&self) -> BoxFuture<'_, String> {
        Box::pin(async move { String::from_utf8_lossy(&self.0.tail().await.unwrap_or_default()).into_owned() })
    }
}
