//! The server as the binary sees it: what to hand in, what it serves, how it stops.

use crate::app::App;
use crate::clock::Clock;
use crate::cloud::api_keys::{KeyKind, KeyWish};
use crate::config::ServerConfig;
use crate::gateway::{Base, Farewell, Gateway, NodeDial, PublicUrl};
use crate::health::Health;
use crate::{reconcile, router, serve};
use axum::Router;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use vitrine_model::{ApiKeySecret, EndReason, Entropy, Error, MachineId, OrganizationId, Permissions, Plan, Status};
use vitrine_store::{Objects, Organization, Store, StoreError};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("use the server's settings: {}", .0.join("; "))]
    Config(Vec<String>),
    #[error("start the server: could not {0}")]
    Store(#[from] StoreError),
}

/// The server. Clones are the same server.
#[derive(Clone)]
pub struct Server {
    app: App,
    gateway: Gateway,
}

impl Server {
    /// Checks the settings and reads or makes the deployment's secrets.
    pub async fn new(
        config: ServerConfig,
        store: Store,
        objects: Objects,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        nodes: Arc<dyn NodeDial>,
    ) -> Result<Self, StartError> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(StartError::Config(problems));
        }
        let public = match config.public_url.as_deref().map(Base::parse) {
            Some(Ok(base)) => PublicUrl::Fixed(base),
            Some(Err(problem)) => return Err(StartError::Config(vec![format!("public_url: {problem}")])),
            None => PublicUrl::FromRequest { trust_proxy: config.trust_proxy },
        };
        let gateway_config = config.gateway.clone();
        let app = App::new(config, store, objects, nodes.clone(), clock.clone(), entropy, public.clone()).await?;
        let gateway = Gateway::new(
            nodes,
            Arc::new(app.clone()),
            app.signing_key.clone(),
            public,
            clock,
            app.metrics.gateway.clone(),
            gateway_config,
        );
        Ok(Self { app, gateway })
    }

    /// What clients reach: `/v1`, `/cdp`, `/view`, `/artifacts`, `/health`, `/metrics`, `/docs`, `/admin/v1`.
    pub fn router(&self) -> Router {
        self.gateway.previews_before(router::public(&self.app, self.gateway.router()))
    }

    /// What a node in this process reaches, `/internal/node/*`; its requests carry the extension [`crate::InProcess`].
    pub fn internal_router(&self) -> Router {
        router::internal(&self.app)
    }

    /// The API document as JSON.
    pub fn openapi(&self) -> String {
        crate::docs::json(&router::document(&self.app))
    }

    /// Serves clients until `shutdown`, then lets requests finish and tells whoever is still connected that we go.
    pub async fn serve(&self, listener: TcpListener, shutdown: CancellationToken) -> io::Result<()> {
        let config = &self.app.config;
        let limits = serve::Limits {
            connections_max: config.connections_max,
            head_time_max: Duration::from_millis(config.head_timeout_ms),
            grace: Duration::from_millis(config.shutdown_grace_ms),
        };
        let closing = self.app.closing.clone();
        let stop = async {
            shutdown.cancelled().await;
            closing.cancel();
            self.gateway.close_all(Farewell::ServerShutdown).await;
        };
        let (served, ()) = tokio::join!(serve::serve(listener, self.router(), limits, shutdown.clone()), stop);
        served
    }

    /// Runs every reconciler until `shutdown`; returns when all have stopped.
    pub async fn reconcile(&self, shutdown: CancellationToken) {
        let loops = reconcile::ALL.iter().map(|reconciler| reconciler.run(self.app.clone(), shutdown.clone()));
        let webhooks = crate::webhooks::deliver(self.app.clone(), shutdown.clone());
        futures_util::future::join(futures_util::future::join_all(loops), webhooks).await;
    }

    /// No new sessions from now on: `POST` answers 503.
    pub fn drain(&self) {
        self.app.drain();
    }

    /// Asks all sessions that are not paused to end, or those of one machine; answers how many.
    pub async fn end_all(&self, machine: Option<&MachineId>, reason: EndReason) -> Result<usize, Error> {
        let sessions = self.app.all_sessions().await?;
        // What is paused waits for the next start, on its machine's disk.
        let running = sessions.iter().filter(|session| session.status != Status::Paused);
        let ours = running.filter(|session| {
            // A queued session is nobody's yet: it ends with whoever ends everything here.
            machine.is_none_or(|machine| session.machine.as_ref().is_none_or(|holder| holder == machine))
        });
        let mut asked = 0;
        for session in ours {
            let ended = self.app.end(&session.id, None, reason).await.map_err(Error::internal)?;
            asked += usize::from(ended.is_some());
        }
        Ok(asked)
    }

    /// Sessions that are not over and hold a machine or wait for one, on one machine or at all.
    pub async fn open_sessions(&self, machine: Option<&MachineId>) -> Result<usize, Error> {
        let sessions = self.app.all_sessions().await?;
        Ok(sessions
            .iter()
            .filter(|session| !session.stored && (machine.is_none() || session.machine.as_ref() == machine))
            .count())
    }

    /// The answer of `/health`.
    pub async fn health(&self) -> Health {
        self.app.health().await
    }

    /// Makes an organization.
    pub async fn create_organization(&self, name: &str, plan: Plan) -> Result<Organization, Error> {
        self.app.make_organization(name, plan).await
    }

    /// Makes an API key that may do everything and never expires; its secret is shown once.
    pub async fn create_api_key(&self, organization: &OrganizationId, name: &str) -> Result<ApiKeySecret, Error> {
        let (permissions, kind) = (Permissions::default(), KeyKind::default());
        let wish = KeyWish { name: name.to_owned(), permissions, expires_at: None, kind };
        self.app.make_key(organization, wish).await.map(|(_, secret)| secret)
    }
}
