//! What a browser's capsule holds before the browser starts: its folders, and the certificates it trusts.

use crate::error::StartError;
use std::path::PathBuf;
use vitrine_capsule::{Capsule, Exec, Exit, Stdio, User};

/// Prepares capsules.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    _cache: PathBuf,
    _bundle: Option<PathBuf>,
}

impl Trust {
    pub(crate) fn new(cache: PathBuf, bundle: Option<PathBuf>) -> Self {
        Self { _cache: cache, _bundle: bundle }
    }

    pub(crate) async fn install(&self, capsule: &Capsule) -> Result<(), StartError> {
        let failed = |cause: &dyn std::fmt::Display| StartError::failed("prepare a capsule's folders", cause);
        let exec = Exec {
            name: "prepare".into(),
            argv: ["/bin/mkdir", "-p", "/session/profile", "/session/home", "/session/tmp"].map(String::from).into(),
            env: Vec::new(),
            cwd: "/".into(),
            user: User::Ordinary,
            stdio: Stdio::Tail,
        };
        let process = capsule.exec(exec).await.map_err(|error| failed(&error))?;
        match process.wait().await.map_err(|error| failed(&error))? {
            Exit::Code(0) => Ok(()),
            _ => Err(failed(&String::from_utf8_lossy(&process.tail().await.unwrap_or_default()))),
        }
    }
}
