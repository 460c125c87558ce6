//! What a run is made of: a browser, or a sandbox. A run lives the same life around either.

use crate::error::StartError;
use crate::node::Shared;
use crate::presence::{ClientStream, Door, Guard};
use crate::run::{End, Run};
use crate::run_file::{Kept, RunFile};
use crate::spool::Folder;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio::io::DuplexStream;
use tokio_util::sync::CancellationToken;
use vitrine_model::EpochMs;
use vitrine_model::wire::{DialError, EgressBytes, Purpose};

/// What a stream in memory holds in each direction until the other side reads.
const MEMORY_BYTES: usize = 64 * 1024;

/// One kind of workload, from its assignment to its end.
pub(crate) trait Body: Reached + Sized {
    /// What a client asked for.
    type Spec: Send;
    /// What the session carries, which is there before its capsule.
    type Carried: Send + Sync;
    /// A capsule that is not the session's yet.
    type Claimed: Send;

    fn carry(run: &Run, spec: Self::Spec, folder: Arc<Folder>) -> Self::Carried;

    /// Finds a capsule. Nothing is left of it when the future is dropped.
    fn claim(run: &Run, carried: &Self::Carried) -> impl Future<Output = Result<Self::Claimed, StartError>> + Send;

    /// Makes a capsule the session's; one that cannot be is destroyed.
    fn furnish(
        run: &Run,
        carried: Self::Carried,
        claimed: Self::Claimed,
    ) -> impl Future<Output = Result<Self, StartError>> + Send;

    /// It was told to end before it had begun: removes what an earlier run of the session left on this machine.
    fn abandon(run: &Run) -> impl Future<Output = ()> + Send;

    /// Takes up what outlived its node; what cannot be taken up is destroyed.
    fn adopt(
        run: &Run,
        carried: Self::Carried,
        kept: &RunFile,
    ) -> impl Future<Output = Result<Self, StartError>> + Send;

    /// Its capsule.
    fn capsule_id(&self) -> &str;

    /// What the next node has to know of it besides.
    fn kept(&self) -> Kept;

    /// The row did not take it as ready. Ended while it started, most often; when it is not ours at all, the report of the end
    /// is refused too.
    fn refused(&self, run: &Run) -> End;

    /// Lives until something ends it. `expires_at` is not known before it was ready.
    fn live(self: &Arc<Self>, run: &Run, expires_at: Option<EpochMs>) -> impl Future<Output = End> + Send;

    /// The end has begun: whoever waits for something inside is told now.
    fn tell(&self, end: &End);

    /// Its clients have left: takes out what is to be kept, and destroys the capsule.
    fn wind_up(self: &Arc<Self>, run: &Run, end: &End) -> impl Future<Output = EgressBytes> + Send;

    /// The session is about to be over: brings what it left, as far as it goes in time.
    fn settle(&self) -> impl Future<Output = ()> + Send;

    /// Where what it leaves lies.
    fn folder(&self) -> &Arc<Folder>;
}

/// What can be reached from outside while it lives.
pub(crate) trait Reached: Send + Sync + 'static {
    /// What went through its egress so far.
    fn egress_bytes(&self) -> EgressBytes;

    /// A byte stream to it, and the path that a WebSocket over it asks for.
    fn dial(self: Arc<Self>, visit: Visit) -> BoxFuture<'static, Result<(ClientStream, String), DialError>>;
}

/// Somebody who dials.
pub(crate) struct Visit {
    pub(crate) purpose: Purpose,
    pub(crate) shared: Arc<Shared>,
    pub(crate) door: Door,
    /// Ends what serves the run.
    pub(crate) over: CancellationToken,
}

impl Visit {
    /// A stream that this process answers itself, until the run is over.
    pub(crate) fn answer<F: Future<Output = ()> + Send + 'static>(
        self,
        guard: Option<Guard>,
        serving: impl FnOnce(DuplexStream) -> F,
    ) -> ClientStream {
        let (near, far) = tokio::io::duplex(MEMORY_BYTES);
        self.shared.serve(self.over.run_until_cancelled_owned(serving(near)));
        ClientStream::in_memory(far, guard)
    }
}
