//! Work that waits for a client, or for much to be read: on a thread of its own, so that what is quick never waits for it.
//!
//! Assumes that the caller bounds how much of it there is at once, and that the work ends when nobody wants its result.

use std::io;
use tokio::sync::oneshot;

/// Does it, and brings what it comes to.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (tell, told) = oneshot::channel();
    let run = move || {
        // Whoever waited may have left.
        let _ = tell.send(work());
    };
    std::thread::Builder::new().name("aside".into()).spawn(run)?;
    told.await.map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_done_elsewhere_and_brought() {
        let here = std::thread::current().id();
        assert_ne!(aside(|| std::thread::current().id()).await.unwrap(), here);
        assert!(aside(|| panic!("what goes wrong there is told here")).await.is_err());
    }
}
