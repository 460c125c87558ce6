//! CAPTCHAs in pages: noticed, and answered by whoever the operator names.
//!
//! Assumes a connection of our own. Looks at every page and frame once a second, from an isolated world and with no domain
//! enabled, so that neither page nor client notices; only an answer is given in the page's own world. Promises that each
//! CAPTCHA is told once for each time its page was loaded, and bounded work whatever pages do: a page that hangs is passed
//! over, and after [`CHALLENGES_MAX`] nobody is told or asked any more.

mod challenge;
mod frames;

pub use challenge::{Answer, Challenge, Event, Kind, Solve};

use frames::{Look, Place};
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::FuturesUnordered;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout};
use vitrine_cdp::protocol::network::LoaderId;
use vitrine_cdp::protocol::target::{GetTargets, TargetId, TargetInfo};
use vitrine_cdp::{CdpError, Connection, Session};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Pages and frames of other sites that are looked at; a page with advertisements has some ten.
const TARGETS_MAX: usize = 64;
/// Challenges of one session. Each may cost the operator money.
pub const CHALLENGES_MAX: usize = 200;
/// Questions that a solver has at once from one session; more wait to be found again.
const SOLVING_MAX: usize = 4;
/// How long a solver may take: people who solve them take up to two minutes.
pub const SOLVE_LIMIT: Duration = Duration::from_secs(180);
/// A token has some KiB.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Watches a browser for CAPTCHAs for as long as `next` is called; drop it to stop.
pub struct Captcha {
    connection: Connection,
    solver: Option<Arc<dyn Solve>>,
    sessions: HashMap<TargetId, Session>,
    /// By page: what was told of it since it was loaded.
    told: HashMap<TargetId, Told>,
    challenges: usize,
    events: VecDeque<Event>,
    solving: FuturesUnordered<BoxFuture<'static, Event>>,
    look_at: Instant,
}

struct Told {
    loader: LoaderId,
    url: String,
    challenges: HashSet<(Kind, Option<String>)>,
}

impl Captcha {
    /// Without a solver it only tells.
    pub fn watch(connection: Connection, solver: Option<Arc<dyn Solve>>) -> Captcha {
        Captcha {
            connection,
            solver,
            sessions: HashMap::new(),
            told: HashMap::new(),
            challenges: 0,
            events: VecDeque::new(),
            solving: FuturesUnordered::new(),
            look_at: Instant::now(),
        }
    }

    /// The next thing that happened; `None` when the connection has ended. Give it a task of its own: what is cancelled may
    /// have told something that then nobody heard.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.challenges >= CHALLENGES_MAX && self.solving.is_empty() {
                self.connection.closed().await;
                return None;
            }
            tokio::select! {
                Some(event) = self.solving.next() => return Some(event),
                () = sleep_until(self.look_at) => {
                    match self.look().await {
                        Ok(()) => {}
                        Err(CdpError::Closed(_)) => return None,
                        Err(error) => tracing::debug!(%error, "could not look for CAPTCHAs"),
                    }
                    self.look_at = Instant::now() + LOOK_EVERY;
                }
            }
        }
    }

    async fn look(&mut self) -> Result<(), CdpError> {
        let mut targets = self.connection.call(GetTargets::default()).await?.target_infos;
        targets.retain(|target| matches!(target.r#type.as_str(), "page" | "iframe"));
        targets.truncate(TARGETS_MAX);
        self.sessions.retain(|id, _| targets.iter().any(|target| target.target_id == *id));
        self.told.retain(|id, _| targets.iter().any(|target| target.target_id == *id));
        for target in &targets {
            if !self.sessions.contains_key(&target.target_id) {
                // It may be gone by now.
                if let Ok(session) = self.connection.attach(&target.target_id).await {
                    self.sessions.insert(target.target_id.clone(), session);
                }
            }
        }
        let looks = targets.iter().filter_map(|target| {
            let session = self.sessions.get(&target.target_id)?.clone();
            Some(async move { (target, frames::look(&session).await) })
        });
        let mut looks = join_all(looks).await;
        // What stands in a frame is told of its page, so pages come first.
        looks.sort_by_key(|(target, _)| target.r#type != "page");
        for (target, look) in looks {
            match look {
                Ok(look) => self.consider(&targets, target, look),
                // Hanging, crashed or between two documents: the next look sees.
                Err(error) => tracing::trace!(%error, "a page was not looked at"),
            }
        }
        Ok(())
    }

    fn consider(&mut self, targets: &[TargetInfo], target: &TargetInfo, look: Look) {
        let Some(page) = page_of(targets, target) else { return };
        if target.r#type == "page" {
            let told = self.told.remove(&target.target_id).filter(|told| told.loader == look.loader);
            let challenges = told.map(|told| told.challenges).unwrap_or_default();
            let told = Told { loader: look.loader, url: look.url, challenges };
            self.told.insert(target.target_id.clone(), told);
        }
        for (place, found) in look.found {
            self.detected(&page.target_id, place, found);
        }
        if let Some((parent, found)) = frames::turnstile(target)
            && let Some(session) = self.sessions.get(parent)
        {
            let place = Place::top(session.clone(), parent);
            self.detected(&page.target_id, place, found);
        }
    }

    fn detected(&mut self, page: &TargetId, place: Place, found: Challenge) {
        let Some(told) = self.told.get_mut(page) else { return };
        let full = self.challenges >= CHALLENGES_MAX || (self.solver.is_some() && self.solving.len() >= SOLVING_MAX);
        // A widget that has told no key yet is the same as one that has.
        let known = told.challenges.iter().any(|(kind, key)| {
            *kind == found.kind && (*key == found.site_key || key.is_none() || found.site_key.is_none())
        });
        if full || known {
            return;
        }
        told.challenges.insert((found.kind, found.site_key.clone()));
        self.challenges += 1;
        let challenge = Challenge { url: told.url.clone(), ..found };
        self.events.push_back(Event::Detected(challenge.clone()));
        if let Some(solver) = &self.solver {
            self.solving.push(Box::pin(answer(solver.clone(), place, challenge)));
        }
    }
}

/// The page that a frame stands in.
fn page_of<'a>(targets: &'a [TargetInfo], target: &'a TargetInfo) -> Option<&'a TargetInfo> {
    let mut at = target;
    // Never more steps than targets: what a broken browser links in a circle ends too.
    for _ in 0..targets.len() {
        if at.r#type == "page" {
            return Some(at);
        }
        at = targets.iter().find(|other| Some(&other.target_id) == at.parent_id.as_ref())?;
    }
    None
}

async fn answer(solver: Arc<dyn Solve>, place: Place, challenge: Challenge) -> Event {
    let answered = async {
        let mark = place.mark().await?;
        let answer = match timeout(SOLVE_LIMIT, solver.solve(challenge.clone())).await {
            Ok(answer) => answer?,
            Err(_) => return Err(format!("no answer within {SOLVE_LIMIT:?}")),
        };
        let bytes = answer.fields.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        if answer.token.len() + bytes > ANSWER_BYTES_MAX {
            return Err(format!("the answer is larger than {ANSWER_BYTES_MAX} bytes"));
        }
        if place.mark().await? != mark {
            return Err("the page was left meanwhile".into());
        }
        place.give(&challenge, &answer).await
    };
    match answered.await {
        Ok(()) => Event::Solved(challenge),
        Err(message) => Event::Failed { challenge, message },
    }
}
