//! Secrets of the deployment, made once, for example the key that signs tokens.

use crate::{Result, Store};

impl Store {
    /// The secret of that name; `fresh` becomes it when there is none yet.
    pub async fn secret(&self, name: &str, fresh: [u8; 32]) -> Result<[u8; 32]> {
        todo!()
    }
}
