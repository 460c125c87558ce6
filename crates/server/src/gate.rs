//! What stands before every operation, in the contract's order: authenticate (401), rate limit (429), permission (403).
//!
//! The gate of an operation stands beside it in the router and in the API document; a handler behind it finds a
//! [`Caller`].

use crate::answer::Failure;
use crate::app::App;
use crate::config::Class;
use crate::limits::{Judged, Who};
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use subtle::ConstantTimeEq;
use vitrine_model::{ApiKeySecret, Code, Error, OrganizationId, Permission};
use vitrine_store::{ApiKey, Organization};

/// What an operation demands.
#[derive(Debug, Clone, Copy)]
pub enum Gate {
    /// An API key with a permission; requests of the class share a bucket.
    Key { class: Class, needs: Permission },
    /// The operator's key.
    Operator,
    /// No key; requests of the class share a bucket per address.
    Open { class: Class },
}

/// Whose request it is.
#[derive(Debug, Clone)]
pub struct Caller {
    pub key: ApiKey,
    pub organization: Organization,
}

impl Caller {
    /// Whose sessions and keys it sees.
    pub fn organization_id(&self) -> &OrganizationId {
        &self.organization.id
    }

    /// Fails without the permission.
    pub fn demand(&self, permission: Permission) -> Result<(), Error> {
        if self.key.permissions.allow(permission) {
            return Ok(());
        }
        let word = permission.as_str();
        Err(Error::new(Code::PermissionDenied, format!("the key lacks the permission {word}"))
            .with("requiredPermission", word))
    }
}

/// Where a request came from.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Lets a request through to its operation, or answers it.
pub async fn admit(State((app, gate)): State<(App, Gate)>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<Peer>().copied();
    let mut judged = None;
    let mut response = match pass(&app, gate, request.headers(), peer, &mut judged).await {
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            next.run(request).await
        }
        Err(error) => Failure(error).into_response(),
    };
    if let Some(judged) = judged {
        judged.write(response.headers_mut(), app.clock.as_ref());
    }
    response
}

async fn pass(
    app: &App,
    gate: Gate,
    headers: &HeaderMap,
    peer: Option<Peer>,
    judged: &mut Option<Judged>,
) -> Result<Option<Caller>, Error> {
    let found = match gate {
        Gate::Key { .. } => authenticate(app, headers).await.map(Some),
        Gate::Operator => authenticate_operator(app, headers).map(|()| None),
        Gate::Open { .. } => Ok(None),
    };
    let (class, who) = match (&found, gate) {
        (Ok(Some(caller)), Gate::Key { class, .. }) => (class, Who::Key(caller.key.id.clone())),
        (Ok(_), Gate::Open { class }) => (class, Who::address(address(app, headers, peer))),
        (Ok(_), _) => (Class::Admin, Who::Operator),
        (Err(error), _) if error.code != Code::Unauthenticated => return found,
        (Err(_), _) => (Class::Unauthenticated, Who::address(address(app, headers, peer))),
    };
    let taken = app.limiter.take(class, who, app.config.rate_limit(class));
    *judged = Some(taken);
    taken.check().inspect_err(|_| app.metrics.rate_limited(class.name()))?;
    let caller = found?;
    if let (Some(caller), Gate::Key { needs, .. }) = (&caller, gate) {
        caller.demand(needs)?;
    }
    Ok(caller)
}

/// Whose API key the `Authorization` header carries.
pub async fn authenticate(app: &App, headers: &HeaderMap) -> Result<Caller, Error> {
    let secret = bearer(headers)?;
    if secret.is_operator() {
        return Err(unauthenticated("the operator's key opens /admin/v1 only"));
    }
    let found = app.store.authenticate(&secret.hash(), app.clock.now()).await.map_err(Error::internal)?;
    let (key, organization) = found.ok_or_else(|| unauthenticated("the API key is unknown, expired or revoked"))?;
    Ok(Caller { key, organization })
}

fn authenticate_operator(app: &App, headers: &HeaderMap) -> Result<(), Error> {
    let hash = bearer(headers)?.hash();
    let known = app.config.operator_key.is_some_and(|known| bool::from(known.ct_eq(&hash)));
    if known { Ok(()) } else { Err(unauthenticated("this needs the operator's key")) }
}

fn bearer(headers: &HeaderMap) -> Result<ApiKeySecret, Error> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(unauthenticated("expected one header Authorization: Bearer KEY"));
    };
    let text = value.to_str().ok().and_then(|text| text.split_once(' '));
    let key = text.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim());
    key.and_then(ApiKeySecret::from_client).ok_or_else(|| unauthenticated("expected Authorization: Bearer KEY"))
}

fn unauthenticated(message: &str) -> Error {
    Error::new(Code::Unauthenticated, message)
}

/// The client's address; behind a trusted proxy, what that proxy saw.
pub fn address(app: &App, headers: &HeaderMap, peer: Option<Peer>) -> IpAddr {
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
    let last = forwarded.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    let direct = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |Peer(address)| address.ip());
    last.filter(|_| app.config.trust_proxy).unwrap_or(direct)
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        let caller = parts.extensions.get::<Caller>().cloned();
        caller.ok_or_else(|| Failure(Error::internal("an operation stands behind no gate")))
    }
}
