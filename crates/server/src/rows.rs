//! What the gateway asks of the rows.

use crate::app::App;
use crate::gate::authenticate;
use crate::gateway::{Known, Sessions};
use futures_util::future::BoxFuture;
use http::HeaderMap;
use vitrine_model::{EpochMs, Error, OrganizationId, Permissions, SessionId, TokenId};

impl Sessions for App {
    fn look_up<'a>(&'a self, id: &'a SessionId) -> BoxFuture<'a, Result<Option<Known>, Error>> {
        Box::pin(async move {
            let session = self.store.session(id).await.map_err(Error::internal)?;
            Ok(session.map(|session| Known {
                token_expires_at: self.token_expires_at(&session),
                is_driven: session.browser().and_then(|spec| spec.embed.as_ref()).is_none_or(|embed| embed.cdp),
                organization: session.organization,
                status: session.status,
                run: session.run,
                machine: session.machine,
                end_reason: session.end_reason,
            }))
        })
    }

    fn is_revoked<'a>(&'a self, session: &'a SessionId, token: &'a TokenId) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move { self.store.is_token_revoked(session, token).await.map_err(Error::internal) })
    }

    fn token_id(&self) -> TokenId {
        TokenId::new(self.clock.now(), self.entropy.as_ref())
    }

    fn use_up<'a>(
        &'a self,
        session: &'a SessionId,
        token: &'a TokenId,
        expires_at: EpochMs,
    ) -> BoxFuture<'a, Result<bool, Error>> {
        Box::pin(async move { self.store.revoke_token(session, token, expires_at).await.map_err(Error::internal) })
    }

    fn authenticate<'a>(
        &'a self,
        headers: &'a HeaderMap,
    ) -> BoxFuture<'a, Result<(OrganizationId, Permissions), Error>> {
        Box::pin(async move {
            let caller = authenticate(self, headers).await?;
            Ok((caller.organization.id, caller.key.permissions))
        })
    }
}
