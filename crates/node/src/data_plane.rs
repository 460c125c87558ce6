//! Where live bytes go in and out of the machine: to a run's browser, or to what this process says for the run.

use crate::interface::Interface;
use crate::node::Shared;
use crate::presence::ClientStream;
use crate::runs::Live;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use vitrine_browser::DEVTOOLS_PORT;
use vitrine_model::EndReason;
use vitrine_model::wire::{Dial, DialError, Purpose};

/// How long a browser may take to accept a connection.
const DIAL_LIMIT: Duration = Duration::from_secs(2);
/// What a stream in memory holds in each direction until the other side reads.
const MEMORY_BYTES: usize = 64 * 1024;

/// A stream to a run, and the word of its end.
pub struct Dialed {
    pub stream: ClientStream,
    /// The path of the WebSocket that the stream speaks, where it speaks one: the browser's `/devtools/browser/UUID`, or `/view`.
    pub browser_path: String,
    pub ending: BoxFuture<'static, EndReason>,
}

/// Where live bytes go in and out of the machine.
#[derive(Clone)]
pub struct DataPlane(pub(crate) Arc<Shared>);

impl DataPlane {
    /// A byte stream to a run.
    pub async fn dial(&self, dial: &Dial) -> Result<Dialed, DialError> {
        let live = self.0.runs.find(dial).ok_or(DialError::Gone)?;
        let ending = Box::pin(live.door.ending());
        match dial.purpose {
            Purpose::Client | Purpose::Discovery => {
                // The client counts from here, so that the idle time does not run out while it connects.
                let guard = (dial.purpose == Purpose::Client).then(|| live.door.enter(true));
                let browser_path = live.browser.websocket_path().to_owned();
                match timeout(DIAL_LIMIT, live.browser.dial(DEVTOOLS_PORT)).await {
                    Ok(Ok(stream)) => Ok(Dialed { stream: ClientStream::new(stream, guard), browser_path, ending }),
                    Ok(Err(error)) => Err(DialError::Unreachable(format!("the browser refused: {error}"))),
                    Err(_) => Err(DialError::Unreachable("the browser did not accept the connection in time".into())),
                }
            }
            Purpose::View { .. } => Err(DialError::Unreachable("the live picture is not served".into())),
            Purpose::Run => Ok(Dialed { stream: self.interface(live), browser_path: String::new(), ending }),
        }
    }

    fn interface(&self, live: Live) -> ClientStream {
        let (near, far) = tokio::io::duplex(MEMORY_BYTES);
        let Live { browser, carried, over, .. } = live;
        let serving = Interface { shared: self.0.clone(), browser, carried }.serve(near);
        self.0.serve(over.run_until_cancelled_owned(serving));
        ClientStream::in_memory(far, None)
    }
}
