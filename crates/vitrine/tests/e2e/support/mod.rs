//! What every end-to-end test stands on: the real binary on a free port, a site of its own, a DevTools client, and a look
//! at what is left afterwards.

pub mod api;
pub mod authority;
pub mod devtools;
pub mod leaks;
pub mod proxy;
pub mod server;
pub mod site;

pub use api::Api;
pub use authority::Authority;
pub use devtools::{Devtools, Page};
pub use server::{Options, Server};
pub use site::Site;

use std::time::Duration;
use tokio::time::Instant;

/// Nothing that a test waits for takes this long, even on a busy machine.
pub const SOON: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Waits until `look` answers something.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + SOON;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within {SOON:?}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
