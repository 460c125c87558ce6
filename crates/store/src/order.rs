//! Orders of minutes: what somebody wants to buy. A payment is taken once: it makes the order paid, the organization where
//! the order names none, and the minutes, in one transaction.

use crate::backend::{Row, Sql, Transaction, locking, retry, values};
use crate::{NewApiKey, Organization, Result, Store, StoreError};
use vitrine_model::{EpochMs, OrderId, OrganizationId};

/// How long an order may wait for its payment, in milliseconds: 30 days. A cancelled one is kept as long.
const UNPAID_KEPT_MS: EpochMs = 30 * 86_400_000;

/// An order to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    pub id: OrderId,
    pub product: String,
    /// At least one.
    pub minutes: u32,
    pub price_cents: u32,
    pub currency: String,
    pub email: Option<String>,
    /// Who takes the money, and its word for the order.
    pub provider: String,
    pub provider_ref: Option<String>,
    /// `None`: the payment makes an organization.
    pub organization: Option<OrganizationId>,
}

/// Where an order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    Pending,
    Paid,
    Cancelled,
}

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    pub id: OrderId,
    pub product: String,
    pub minutes: u32,
    pub price_cents: u32,
    pub currency: String,
    pub email: Option<String>,
    pub provider: String,
    pub provider_ref: Option<String>,
    /// Whose minutes they are; `None` until the payment makes one.
    pub organization: Option<OrganizationId>,
    /// The payment makes, or made, its organization: then a key is shown with the result.
    pub makes_organization: bool,
    pub status: OrderStatus,
    pub created_at: EpochMs,
    pub paid_at: Option<EpochMs>,
    /// When a fresh key was shown.
    pub key_shown_at: Option<EpochMs>,
}

/// A paid order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paid {
    pub order: Order,
    pub organization: OrganizationId,
    /// This call was the payment; otherwise an earlier one.
    pub first: bool,
}

impl OrderStatus {
    /// All of them.
    pub const ALL: [OrderStatus; 3] = [OrderStatus::Pending, OrderStatus::Paid, OrderStatus::Cancelled];

    /// The word in the API and the table.
    pub fn as_str(self) -> &'static str {
        match self {
            OrderStatus::Pending => "pending",
            OrderStatus::Paid => "paid",
            OrderStatus::Cancelled => "cancelled",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<OrderStatus> {
        OrderStatus::ALL.into_iter().find(|status| status.as_str() == word)
    }
}

macro_rules! orders {
    ($rest:literal) => {
        concat!(
            "SELECT id, product, minutes, price_cents, currency, email, provider, provider_ref, organization,
                 makes_organization, status, created_at, paid_at, key_shown_at FROM orders ",
            $rest
        )
    };
}

impl Order {
    fn from_row(row: &Row) -> Result<Order> {
        Ok(Order {
            id: row.word("id", |text| OrderId::parse(text).ok())?,
            product: row.get("product")?,
            minutes: row.number("minutes")?,
            price_cents: row.number("price_cents")?,
            currency: row.get("currency")?,
            email: row.get("email")?,
            provider: row.get("provider")?,
            provider_ref: row.get("provider_ref")?,
            organization: row.maybe_word("organization", |text| OrganizationId::parse(text).ok())?,
            makes_organization: row.get::<i64>("makes_organization")? != 0,
            status: row.word("status", OrderStatus::parse)?,
            created_at: row.get("created_at")?,
            paid_at: row.get("paid_at")?,
            key_shown_at: row.get("key_shown_at")?,
        })
    }
}

impl Store {
    /// Keeps an order that waits for its payment.
    pub async fn create_order(&self, order: &NewOrder, now: EpochMs) -> Result<()> {
        let NewOrder { id, product, minutes, price_cents, currency, email, provider, provider_ref, organization } =
            order;
        self.run(
            "INSERT INTO orders (id, product, minutes, price_cents, currency, email, provider, provider_ref, organization,
                 makes_organization, status, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'pending', $11)",
            values![
                id.as_str(),
                product.as_str(),
                *minutes,
                *price_cents,
                currency.as_str(),
                email.as_deref(),
                provider.as_str(),
                provider_ref.as_deref(),
                organization.as_ref().map(OrganizationId::as_str),
                organization.is_none(),
                now,
            ],
        )
        .await?;
        Ok(())
    }

    /// One order.
    pub async fn order(&self, id: &OrderId) -> Result<Option<Order>> {
        const SQL: &str = orders!("WHERE id = $1");
        self.first(SQL, values![id.as_str()]).await?.as_ref().map(Order::from_row).transpose()
    }

    /// Orders of a status, or all, newest first.
    pub async fn orders(&self, status: Option<OrderStatus>, limit: u32) -> Result<Vec<Order>> {
        const ALL: &str = orders!("ORDER BY created_at DESC, id DESC LIMIT $1");
        const SOME: &str = orders!("WHERE status = $2 ORDER BY created_at DESC, id DESC LIMIT $1");
        let rows = match status {
            None => self.all(ALL, values![limit]).await?,
            Some(status) => self.all(SOME, values![limit, status.as_str()]).await?,
        };
        rows.iter().map(Order::from_row).collect()
    }

    /// Gives an order up that waits for its payment. `false`: there is none, or it was paid or cancelled before.
    pub async fn cancel_order(&self, id: &OrderId) -> Result<bool> {
        const SQL: &str = "UPDATE orders SET status = 'cancelled' WHERE id = $1 AND status = 'pending'";
        Ok(self.run(SQL, values![id.as_str()]).await? == 1)
    }

    /// The address that an organization's newest paid order named.
    pub async fn order_email(&self, organization: &OrganizationId) -> Result<Option<String>> {
        const SQL: &str = "SELECT email FROM orders
            WHERE organization = $1 AND status = 'paid' AND email IS NOT NULL ORDER BY paid_at DESC, id DESC LIMIT 1";
        self.first(SQL, values![organization.as_str()]).await?.map(|row| row.get("email")).transpose()
    }

    /// Takes the payment of an order: its minutes go to its organization, which is `newcomer` where the order names none. Paid
    /// before: the same answer, nothing else. `None`: no such order, or it was cancelled.
    pub async fn pay_order(&self, id: &OrderId, newcomer: &Organization, now: EpochMs) -> Result<Option<Paid>> {
        retry(|| self.pay_order_once(id, newcomer, now)).await
    }

    async fn pay_order_once(&self, id: &OrderId, newcomer: &Organization, now: EpochMs) -> Result<Option<Paid>> {
        const SQL: Sql = locking!(orders!("WHERE id = $1"), "FOR NO KEY UPDATE");
        let mut tx = self.begin_durable().await?;
        let order = tx.first(SQL, values![id.as_str()]).await?.as_ref().map(Order::from_row).transpose()?;
        let Some(mut order) = order.filter(|order| order.status != OrderStatus::Cancelled) else {
            tx.rollback().await?;
            return Ok(None);
        };
        let first = order.status == OrderStatus::Pending;
        if first {
            tx.take_payment(&mut order, newcomer, now).await?;
        }
        tx.commit().await?;
        let organization = order.organization.clone().ok_or(StoreError::Missing("organization"))?;
        Ok(Some(Paid { order, organization, first }))
    }

    /// Stores the key that the result page of an order shows: once, and only where the payment made the organization, whose
    /// key it has to be. `false`: it was shown before, or is not to be shown.
    pub async fn take_key_reveal(&self, id: &OrderId, key: &NewApiKey) -> Result<bool> {
        retry(|| self.take_key_reveal_once(id, key)).await
    }

    async fn take_key_reveal_once(&self, id: &OrderId, key: &NewApiKey) -> Result<bool> {
        const SQL: &str = "UPDATE orders SET key_shown_at = $3 WHERE id = $1 AND organization = $2 AND status = 'paid'
            AND makes_organization = 1 AND key_shown_at IS NULL";
        let mut tx = self.begin_durable().await?;
        let taken = tx.run(SQL, values![id.as_str(), key.organization.as_str(), key.created_at]).await? == 1;
        if taken {
            tx.insert_api_key(key).await?;
            tx.commit().await?;
        } else {
            tx.rollback().await?;
        }
        Ok(taken)
    }

    /// Forgets orders that nobody paid for.
    pub(crate) async fn delete_unpaid_orders(&self, now: EpochMs) -> Result<()> {
        const SQL: &str = "DELETE FROM orders WHERE status IN ('pending', 'cancelled') AND created_at < $1";
        self.run(SQL, values![now - UNPAID_KEPT_MS]).await?;
        Ok(())
    }
}

impl Transaction {
    async fn take_payment(&mut self, order: &mut Order, newcomer: &Organization, now: EpochMs) -> Result<()> {
        const PAID: &str = "UPDATE orders SET status = 'paid', paid_at = $2, organization = $3 WHERE id = $1";
        const MOVE: &str = "INSERT INTO minute_movements (organization, kind, minutes, order_id, at)
            VALUES ($1, 'purchase', $2, $3, $4)";
        let organization = match &order.organization {
            Some(organization) => organization.clone(),
            None => {
                self.insert_organization(newcomer).await?;
                newcomer.id.clone()
            }
        };
        self.run(PAID, values![order.id.as_str(), now, organization.as_str()]).await?;
        self.run(MOVE, values![organization.as_str(), order.minutes, order.id.as_str(), now]).await?;
        (order.status, order.paid_at, order.organization) = (OrderStatus::Paid, Some(now), Some(organization));
        Ok(())
    }
}
