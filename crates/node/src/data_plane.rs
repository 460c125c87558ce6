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
/// What the gateway asks of the stream to a viewing, which answers any path.
const VIEW_PATH: &str = "/view";
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
            Purpose::View { control } => {
                let stream = self.view(live, control).await?;
                Ok(Dialed { stream, browser_path: VIEW_PATH.into(), ending })
            }
            Purpose::Terminal { .. } | Purpose::Port { .. } => {
                Err(DialError::Unreachable("a browser has no such thing".into()))
            }
            Purpose::Run => Ok(Dialed { stream: self.interface(live), browser_path: String::new(), ending }),
        }
    }

    async fn view(&self, live: Live, control: bool) -> Result<ClientStream, DialError> {
        let guard = live.door.enter(control);
        let unreachable = |error: String| DialError::Unreachable(format!("the browser cannot be looked at: {error}"));
        let viewing = timeout(DIAL_LIMIT, live.carried.viewing(&live.browser)).await;
        let viewing = viewing.map_err(|late| unreachable(late.to_string()))?;
        let viewing = viewing.map_err(|error| unreachable(error.to_string()))?;
        let (near, far) = tokio::io::duplex(MEMORY_BYTES);
        let serving = async move {
            let left = viewing.serve(near, control).await;
            tracing::debug!(%left, "a viewer is no longer served");
        };
        self.0.serve(live.over.run_until_cancelled_owned(serving));
        Ok(ClientStream::in_memory(far, Some(guard)))
    }

    fn interface(&self, live: Live) -> ClientStream {
        let (near, far) = tokio::io::duplex(MEMORY_BYTES);
        let Live { browser, carried, over, .. } = live;
        let serving = Interface { shared: self.0.clone(), browser, carried }.serve(near);
        self.0.serve(over.run_until_cancelled_owned(serving));
        ClientStream::in_memory(far, None)
    }
}
