//! `/v1/sandboxes/ports`: what listens in a sandbox, and signed URLs under which a browser sees it.

use crate::answer::Answer;
use crate::app::App;
use crate::gate::Caller;
use crate::request::{Fields, Query, body};
use crate::run::{self, ANSWER_TIME_MAX};
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use http::{HeaderMap, Method, StatusCode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::num::NonZeroU16;
use utoipa::ToSchema;
use vitrine_model::Error;
use vitrine_model::preview::PreviewClaims;
use vitrine_store::Session;

/// How long a URL is good where the client does not say.
const EXPIRES_SECONDS_DEFAULT: u64 = 3_600;
const EXPIRES_SECONDS_MAX: u64 = 86_400;

/// What listens.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PortList {
    pub ports: Vec<Port>,
}

/// A port and where a browser reaches it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    #[schema(value_type = u16, example = 3_000)]
    pub port: NonZeroU16,
    /// HTTP and WebSocket, for whoever has it.
    #[schema(example = "https://3000-mm3e4k0vmv0c5t1s9e0z7r2k8q4w6y3a.preview.example.org/?vitrine-preview-token=…")]
    pub url: String,
    /// Epoch milliseconds.
    pub expires_at: i64,
}

/// Which port, and for how long.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PreviewPort)]
pub struct Wish {
    pub id: String,
    #[schema(minimum = 1, maximum = 65_535)]
    pub port: u16,
    /// Seconds.
    #[schema(required = false, minimum = 1, maximum = 86_400, default = 3_600)]
    pub expires_in: u64,
}

/// What the run answers: one for each address on which something listens.
#[derive(Deserialize)]
struct Listening {
    ports: Vec<ListeningPort>,
}

#[derive(Deserialize)]
struct ListeningPort {
    port: u16,
}

/// List the ports on which programs in a sandbox listen.
///
/// Each with a URL that is good for an hour.
#[utoipa::path(
    get, path = "/v1/sandboxes/ports", operation_id = "listPorts", tag = "Sandbox programs",
    params(("id" = String, Query, description = "The sandbox")),
    responses((status = 200, description = "By number", body = PortList))
)]
pub async fn list(State(app): State<App>, caller: Caller, query: Query, headers: HeaderMap) -> Answer<Json<PortList>> {
    let session = super::asked(&app, &caller, &query).await?;
    let request = run::request(Method::GET, "/ports", Body::empty())?;
    let answer = app.ask_run(&session, "listing its ports", request, ANSWER_TIME_MAX).await?;
    let Listening { ports } = run::json(answer).await?;
    // A program may listen on several addresses with one port.
    let ports: BTreeSet<NonZeroU16> = ports.into_iter().filter_map(|one| NonZeroU16::new(one.port)).collect();
    let preview = |port| app.preview(&session, port, EXPIRES_SECONDS_DEFAULT, &headers);
    Ok(Json(PortList { ports: ports.into_iter().map(preview).collect::<Result<_, Error>>()? }))
}

/// Get a URL under which a browser sees a port of a sandbox.
///
/// Something may listen there later: until then the page says so, and looks again.
#[utoipa::path(
    post, path = "/v1/sandboxes/ports", operation_id = "previewPort", tag = "Sandbox programs", request_body = Wish,
    responses((status = 201, description = "Where it is", body = Port))
)]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Answer<(StatusCode, Json<Port>)> {
    let body = body::object(body, app.body_limits()).await?;
    let fields = Fields::of(&body);
    let port = fields.required("port", fields.integer("port", 1..=u64::from(u16::MAX))?)?;
    let port = u16::try_from(port).ok().and_then(NonZeroU16::new).ok_or_else(|| fields.wrong("port", "a port"))?;
    let seconds = fields.integer("expiresIn", 1..=EXPIRES_SECONDS_MAX)?.unwrap_or(EXPIRES_SECONDS_DEFAULT);
    let session = super::named(&app, &caller, &fields).await?;
    Ok((StatusCode::CREATED, Json(app.preview(&session, port, seconds, &headers)?)))
}

impl App {
    /// Where a browser reaches a port of a session. Fails while it does not run.
    fn preview(&self, session: &Session, port: NonZeroU16, seconds: u64, headers: &HeaderMap) -> Result<Port, Error> {
        let (true, Some(run), Some(machine)) = (session.status.is_running(), &session.run, &session.machine) else {
            return Err(Error::state(session.status, "looking at its ports"));
        };
        let expires_at = self.clock.now().saturating_add_unsigned(seconds * 1_000);
        let token = self.signing_key.sign_preview(&PreviewClaims {
            session: session.id.clone(),
            port,
            run: run.clone(),
            machine: machine.clone(),
            expires_at,
        });
        let domain = self.config.gateway.preview_domain.as_deref();
        Ok(Port { port, url: self.base(headers)?.preview(domain, &session.id, port, &token), expires_at })
    }
}
