//! One session's egress: its two sockets, its rules, and everything that is under way.
//!
//! [`Egress::stop`] ends and joins every task; dropping an [`Egress`] only tells them to end.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, broadcast, watch};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::counters::Meter;
use crate::dns::NameServer;
use crate::names::Names;
use crate::pace::Pace;
use crate::{Counters, EgressEvent, Outside, Policy, Refusal, Upstream, dial, relay};

/// Connections of one session at the same time; further ones are reset.
pub(crate) const CONNECTIONS_MAX: usize = 1024;
/// Connections one session may open in a second; further ones wait in the listener's queue.
const CONNECTIONS_PER_SECOND_MAX: u32 = 1000;
/// How long to wait after a failing accept: the process is out of descriptors, and trying at once would spin.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// The two sockets of a session, made inside the capsule's network namespace.
pub struct Sockets {
    /// Gets all TCP connections that leave the namespace, redirected by its netfilter rules.
    pub tcp: std::net::TcpListener,
    /// Gets the namespace's DNS questions. Bound to 127.0.0.1: from another address its answers do not match the redirect.
    pub dns: std::net::UdpSocket,
}

/// What connections are judged by and go through. Replaced as a whole.
#[derive(Clone)]
pub(crate) struct Rules {
    pub policy: Arc<Policy>,
    pub upstream: Arc<Upstream>,
    /// Which upstream it is: connections of an older one end.
    pub upstream_number: u64,
}

/// What all tasks of a session share.
pub(crate) struct Session {
    pub outside: Arc<Outside>,
    pub names: Names,
    pub rules: watch::Sender<Rules>,
    pub meter: Meter,
    /// Goes up with every connection, to choose among proxies.
    turns: AtomicUsize,
    slots: Arc<Semaphore>,
}

impl Session {
    pub fn turn(&self) -> usize {
        self.turns.fetch_add(1, Ordering::Relaxed)
    }

    pub fn name_server(&self) -> NameServer<'_> {
        NameServer { names: &self.names, hosts: self.outside.hosts() }
    }
}

/// The running egress of one session.
pub struct Egress {
    session: Arc<Session>,
    tasks: TaskTracker,
    cancel: CancellationToken,
    _cancel_on_drop: DropGuard,
}

impl Egress {
    /// Serves the sockets on the current tokio runtime.
    pub fn start(
        outside: Arc<Outside>,
        sockets: Sockets,
        policy: Policy,
        upstream: Upstream,
    ) -> std::io::Result<Egress> {
        Egress::start_with(outside, sockets, policy, upstream, Names::default())
    }

    /// The same for a session that may outlive this process: its names are kept in the file, and those that a former process
    /// left there are known, so that programs which remember addresses do not notice. The file is to be deleted with the
    /// session.
    pub fn start_remembering(
        outside: Arc<Outside>,
        sockets: Sockets,
        policy: Policy,
        upstream: Upstream,
        names: &Path,
    ) -> std::io::Result<Egress> {
        Egress::start_with(outside, sockets, policy, upstream, Names::kept_in(names)?)
    }

    fn start_with(
        outside: Arc<Outside>,
        sockets: Sockets,
        policy: Policy,
        upstream: Upstream,
        names: Names,
    ) -> std::io::Result<Egress> {
        sockets.tcp.set_nonblocking(true)?;
        sockets.dns.set_nonblocking(true)?;
        let tcp = TcpListener::from_std(sockets.tcp)?;
        let dns = UdpSocket::from_std(sockets.dns)?;
        let rules = Rules { policy: Arc::new(policy), upstream: Arc::new(upstream), upstream_number: 0 };
        let session = Arc::new(Session {
            outside,
            names,
            rules: watch::Sender::new(rules),
            meter: Meter::new(),
            turns: AtomicUsize::new(0),
            slots: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        });
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        tasks.spawn(cancel.clone().run_until_cancelled_owned({
            let session = session.clone();
            async move { session.name_server().serve_udp(&dns).await }
        }));
        tasks.spawn(cancel.clone().run_until_cancelled_owned({
            let (session, tasks, cancel) = (session.clone(), tasks.clone(), cancel.clone());
            async move { accept(&session, &tcp, &tasks, &cancel).await }
        }));
        tasks.close();
        Ok(Egress { session, tasks, _cancel_on_drop: cancel.clone().drop_guard(), cancel })
    }

    /// New connections take the new upstream; connections of the old one are reset.
    pub fn set_upstream(&self, upstream: Upstream) {
        self.session.rules.send_modify(|rules| {
            rules.upstream = Arc::new(upstream);
            rules.upstream_number += 1;
        });
    }

    /// New connections are judged by the new policy; connections that it does not allow are reset.
    pub fn set_policy(&self, policy: Policy) {
        self.session.rules.send_modify(|rules| rules.policy = Arc::new(policy));
    }

    /// What connections are judged by now.
    pub fn policy(&self) -> Arc<Policy> {
        self.session.rules.borrow().policy.clone()
    }

    /// Totals since the start.
    pub fn counters(&self) -> Counters {
        self.session.meter.counters()
    }

    /// Events from now on. A listener that falls behind loses the oldest and is told how many.
    pub fn events(&self) -> broadcast::Receiver<EgressEvent> {
        self.session.meter.events()
    }

    /// Ends every connection with a reset and waits until no task is left. There is no start after a stop.
    pub async fn stop(&self) {
        self.cancel.cancel();
        self.tasks.wait().await;
    }
}

async fn accept(session: &Arc<Session>, tcp: &TcpListener, tasks: &TaskTracker, cancel: &CancellationToken) {
    let mut pace = Pace::new(CONNECTIONS_PER_SECOND_MAX);
    loop {
        pace.step().await;
        let client = match tcp.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                tracing::warn!(%error, "could not accept a capsule's connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        if let Err(error) = dial::prepare(&client) {
            tracing::debug!(%error, "connection gone before it was served");
            continue;
        }
        let Ok(slot) = session.slots.clone().try_acquire_owned() else {
            session.meter.refused(target(&client), Refusal::TooManyConnections);
            continue;
        };
        let connection = relay::carry(session.clone(), client);
        tasks.spawn(cancel.clone().run_until_cancelled_owned(async move {
            connection.await;
            drop(slot);
        }));
    }
}

/// The target of a connection that is not looked into any further.
fn target(client: &TcpStream) -> String {
    relay::original_destination(client).map_or_else(|| "unknown".to_owned(), |address| address.to_string())
}
