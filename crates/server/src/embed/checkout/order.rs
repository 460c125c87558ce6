//! What a payment does.

use crate::app::App;
use vitrine_model::{ApiKeyId, ApiKeySecret, Error, OrderId, OrganizationId, Permissions, Plan};
use vitrine_store::{NewApiKey, NewOrder, Order, Organization, Paid};

/// The plan of an organization that a payment makes: its minutes are its bill, the plan says how many sessions at once.
const MINUTES_PLAN: Plan = Plan::Builder;
/// Name of the key that the result page shows.
const KEY_NAME: &str = "first";

impl App {
    /// The order is paid: its minutes are granted, once. `None`: no such order, or it was cancelled.
    pub async fn pay(&self, id: &OrderId) -> Result<Option<Paid>, Error> {
        let Some(order) = self.store.order(id).await.map_err(Error::internal)? else { return Ok(None) };
        let now = self.clock.now();
        let organization = Organization {
            id: OrganizationId::new(now, self.entropy.as_ref()),
            name: order.email.unwrap_or_else(|| format!("order {id}")).chars().take(100).collect(),
            plan: MINUTES_PLAN,
            created_at: now,
        };
        let paid = self.store.pay_order(id, &organization, now).await.map_err(Error::internal)?;
        if let Some(paid) = paid.as_ref().filter(|paid| paid.first) {
            let (minutes, organization) = (paid.order.minutes, &paid.organization);
            // Not the id: whoever knows it is shown the key.
            tracing::info!(%organization, minutes, "order paid");
        }
        Ok(paid)
    }

    /// A month of a subscription is paid: the minutes of the order that began it are granted again, once for each `id`.
    pub async fn renew(&self, first: &Order, id: &OrderId, invoice: &str) -> Result<(), Error> {
        if self.store.order(id).await.map_err(Error::internal)?.is_none() {
            let first = first.clone();
            let renewal = NewOrder {
                id: id.clone(),
                product: first.product,
                minutes: first.minutes,
                price_cents: first.price_cents,
                currency: first.currency,
                email: first.email,
                provider: first.provider,
                provider_ref: Some(invoice.to_owned()),
                organization: first.organization,
            };
            self.store.create_order(&renewal, self.clock.now()).await.map_err(Error::internal)?;
        }
        self.pay(id).await.map(drop)
    }

    /// The first key of the organization that a payment made, once. `None`: it was shown before, or there is none to show.
    pub async fn reveal_key(&self, id: &OrderId) -> Result<Option<ApiKeySecret>, Error> {
        let order = self.store.order(id).await.map_err(Error::internal)?;
        let Some(organization) = order.and_then(|order| order.organization) else { return Ok(None) };
        let (now, secret) = (self.clock.now(), ApiKeySecret::embed(self.entropy.as_ref()));
        let key = NewApiKey {
            id: ApiKeyId::new(now, self.entropy.as_ref()),
            organization,
            name: KEY_NAME.to_owned(),
            hash: secret.hash(),
            hint: secret.hint(),
            permissions: Permissions::default(),
            created_at: now,
            expires_at: None,
        };
        let shown = self.store.take_key_reveal(id, &key).await.map_err(Error::internal)?;
        Ok(shown.then_some(secret))
    }
}
