//! The recording of a session: what the active tab shows, from tab to tab.

use super::finalise::{Finished, finalise};
use super::recorder::{FRAGMENT_LIMIT, Recorder, RecordingError};
use crate::screen::{Coding, Picture, Screen, Subscription, Wants};
use crate::tabs::{TabList, Tabs};
use futures_util::FutureExt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep_until};
use vitrine_cdp::protocol::target::TargetId;
use vitrine_model::EpochMs;

/// Between two pictures that are asked for the recording alone: 25 a second. What viewers make the screen encode is taken,
/// too.
const PICTURE_PAUSE: Duration = Duration::from_millis(40);

/// Where a tab begins.
const BLANK: &str = "about:blank";

/// The title of the last chapter of a recording that reached its longest size.
const FULL: &str = "The recording reached its longest size here";

/// A recording that runs. When it is dropped it stops, and can be gone on with.
pub struct Recording {
    path: PathBuf,
    stop: oneshot::Sender<()>,
    follower: JoinHandle<Result<(), RecordingError>>,
}

impl Recording {
    /// Begins a recording at `path`, or goes on with what a dead process left there. `now` is the time of day.
    pub async fn start(tabs: Tabs, path: &Path, now: EpochMs) -> Result<Recording, RecordingError> {
        let path = path.to_owned();
        let recorder = blocking({
            let path = path.clone();
            move || Recorder::open(&path, now)
        })
        .await?;
        let before = Duration::from_millis(u64::try_from(now - recorder.started()).unwrap_or(0));
        let zero = Instant::now().checked_sub(before).unwrap_or_else(Instant::now);
        let (stop, stopped) = oneshot::channel();
        let follower = Follower { tabs, recorder: Some(recorder), zero, scene: None };
        Ok(Recording { path, stop, follower: tokio::spawn(follower.run(stopped)) })
    }

    /// Ends the recording and makes it a file that plays at once. Also what was recorded before a failure is finished.
    pub async fn finish(self) -> Result<Finished, RecordingError> {
        // Fails only when the follower has ended by itself.
        let _ = self.stop.send(());
        if let Err(error) = self.follower.await.map_err(io::Error::other)? {
            tracing::warn!(%error, "a recording ended early");
        }
        blocking(move || finalise(&self.path)).await
    }
}

struct Follower {
    tabs: Tabs,
    /// None while it is being written.
    recorder: Option<Recorder>,
    /// Time zero of the recording.
    zero: Instant,
    scene: Option<Scene>,
}

/// The tab that is recorded.
struct Scene {
    tab: TargetId,
    began: Duration,
    /// It has had a title of its own.
    titled: bool,
    seat: Option<Seat>,
}

struct Seat {
    screen: Arc<Screen>,
    pictures: Subscription,
    /// When the next picture may be asked for.
    due: tokio::time::Instant,
}

impl Follower {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) -> Result<(), RecordingError> {
        let mut list = self.tabs.watch();
        let mut beat = interval(FRAGMENT_LIMIT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let seat = self.scene.as_mut().and_then(|scene| scene.seat.as_mut());
            let watching = seat.is_some();
            tokio::select! {
                _ = &mut stopped => break,
                // It ends with the tabs, which we hold.
                _ = list.changed() => {
                    let shown = list.borrow_and_update().clone();
                    self.look(&shown);
                }
                _ = beat.tick() => {
                    self.flush().await?;
                    let shown = list.borrow().clone();
                    self.look(&shown);
                }
                picture = next(seat), if watching => match picture {
                    Some(picture) => self.push(&picture).await?,
                    None => self.lose(),
                },
            }
        }
        self.flush().await
    }

    /// Goes to the active tab, if it is another one.
    fn look(&mut self, list: &TabList) {
        let Some(tab) = list.active.as_ref().and_then(|active| list.get(active)) else { return };
        let at = self.zero.elapsed();
        // While a page loads its tab shows an address, or what was there before.
        let own_title = !tab.loading && !tab.title.is_empty() && tab.title != tab.url && tab.url != BLANK;
        let scene = match &mut self.scene {
            Some(scene) if scene.tab == tab.id => {
                if own_title && !scene.titled {
                    scene.titled = true;
                    self.recorder.iter_mut().for_each(|recorder| recorder.chapter(&tab.title, scene.began));
                }
                scene
            }
            scene => {
                let title = if own_title { &tab.title } else { &tab.url };
                self.recorder.iter_mut().for_each(|recorder| recorder.chapter(title, at));
                scene.insert(Scene { tab: tab.id.clone(), began: at, titled: own_title, seat: None })
            }
        };
        if scene.seat.is_none() && !tab.crashed {
            scene.seat = self.tabs.screen(&tab.id).map(Seat::new);
        }
    }

    async fn push(&mut self, picture: &Picture) -> Result<(), RecordingError> {
        let started = self.scene.as_ref().and_then(|scene| scene.seat.as_ref()?.screen.started());
        let painted = started.map_or_else(Instant::now, |started| started + picture.at);
        let at = painted.saturating_duration_since(self.zero);
        let Some(recorder) = &mut self.recorder else { return Ok(()) };
        let pushed = recorder.push(picture, at);
        if matches!(pushed, Err(RecordingError::Full)) {
            recorder.chapter(FULL, at);
        }
        if pushed.is_err() || recorder.is_due() {
            self.flush().await?;
        }
        pushed
    }

    async fn flush(&mut self) -> Result<(), RecordingError> {
        let at = self.zero.elapsed();
        let Some(mut recorder) = self.recorder.take() else { return Ok(()) };
        let (recorder, flushed) = blocking(move || {
            let flushed = recorder.flush(at);
            Ok((recorder, flushed))
        })
        .await?;
        self.recorder = Some(recorder);
        flushed
    }

    /// The tab's screen has ended: it crashed or is about to leave the list.
    fn lose(&mut self) {
        if let Some(scene) = &mut self.scene {
            scene.seat = None;
        }
    }
}

impl Seat {
    fn new(screen: Arc<Screen>) -> Seat {
        let pictures = screen.subscribe(Wants { coding: Coding::H264, every: true });
        Seat { screen, pictures, due: tokio::time::Instant::now() }
    }
}

/// The next picture: at once when it was made for somebody else, else not before it is due.
async fn next(seat: Option<&mut Seat>) -> Option<Picture> {
    let seat = seat?;
    sleep_until(seat.due).await;
    if let Some(waiting) = seat.pictures.next().now_or_never() {
        return waiting;
    }
    let picture = seat.pictures.next().await;
    seat.due = (seat.due + PICTURE_PAUSE).max(tokio::time::Instant::now());
    picture
}

/// Files are written apart from the runtime: a disk may take its time.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RecordingError> + Send + 'static,
) -> Result<T, RecordingError> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
