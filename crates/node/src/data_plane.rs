//! Where live bytes go in and out of the machine: to what a run is made of, or to what this process says for the run.

use crate::body::Visit;
use crate::node::Shared;
use crate::presence::ClientStream;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use vitrine_model::EndReason;
use vitrine_model::wire::{Dial, DialError};

/// A stream to a run, and the word of its end.
pub struct Dialed {
    pub stream: ClientStream,
    /// The path of the WebSocket that the stream speaks, where it speaks one: the browser's `/devtools/browser/UUID`, `/view`
    /// or `/terminal`.
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
        let visit = Visit { purpose: dial.purpose, shared: self.0.clone(), door: live.door, over: live.over };
        let (stream, browser_path) = live.body.dial(visit).await?;
        Ok(Dialed { stream, browser_path, ending })
    }
}
