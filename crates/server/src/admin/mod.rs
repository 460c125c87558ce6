//! The operator's API, `/admin/v1`: organizations, their plans and keys, machines, all sessions, the settings in
//! effect.

pub mod keys;
pub mod machines;
pub mod minutes;
pub mod organizations;
pub mod overview;

use crate::app::App;
use crate::request::Fields;
use vitrine_model::{Error, Kind, OrganizationId};
use vitrine_store::{Organization, Session};

/// Sessions of one organization that are read at once.
const SESSIONS_MAX: u32 = 1_000;

/// The organization that a body names.
async fn organization(app: &App, fields: &Fields<'_>, field: &str) -> Result<Organization, Error> {
    let id = fields.required(field, fields.text(field, 1..=64)?)?;
    let id: OrganizationId = id.parse().map_err(|_| Error::not_found("organization"))?;
    let found = app.store.organization(&id).await.map_err(Error::internal)?;
    found.ok_or_else(|| Error::not_found("organization"))
}

impl App {
    /// Every organization's sessions that are not over, newest first.
    pub async fn all_sessions(&self) -> Result<Vec<Session>, Error> {
        let mut all = Vec::new();
        for organization in self.store.organizations().await.map_err(Error::internal)? {
            for kind in [Kind::Browser, Kind::Sandbox] {
                let sessions = self.store.active_sessions(&organization.id, kind, SESSIONS_MAX).await;
                all.extend(sessions.map_err(Error::internal)?);
            }
        }
        all.sort_by(|left, right| right.id.cmp(&left.id));
        Ok(all)
    }
}
