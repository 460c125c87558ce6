//! What is looked at in one tab: whether it loads, where it can go back to, its icon. Everything asked of a page has a short
//! limit: it may hang, show a dialog or be gone.

use super::Shared;
use super::list::{TITLE_BYTES_MAX, bounded};
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use vitrine_cdp::protocol::page::{CreateIsolatedWorld, FrameId, GetNavigationHistory};
use vitrine_cdp::protocol::runtime::Evaluate;
use vitrine_cdp::protocol::target::{TargetId, TargetInfo};
use vitrine_cdp::{CdpError, Session};

const LOOK: &str = include_str!("look.js");
const FAVICON: &str = include_str!("favicon.js");
/// The world of our scripts in a page.
pub(crate) const WORLD: &str = "vitrine";
const LOOK_LIMIT: Duration = Duration::from_secs(2);
/// Between two looks at one tab, however often it changes.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// A page that loads is looked at again, less and less often.
const LOADING_PAUSE_MIN: Duration = Duration::from_millis(300);
const LOADING_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How late the title of a page that rests may be.
const TITLE_PAUSE: Duration = Duration::from_secs(1);
/// As a `data:` address; an icon of 64 by 64 pixels is a few KiB.
const FAVICON_BYTES_MAX: usize = 32 * 1024;
const FAVICON_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Deserialize)]
struct Seen {
    loading: bool,
    icon: Option<String>,
}

/// Attaches to a tab, lists it and looks at it whenever it is woken. Ends when the tab does.
pub(super) async fn follow(shared: Arc<Shared>, info: TargetInfo, wake: Arc<Notify>) {
    let id = info.target_id.clone();
    let session = match shared.connection.attach(&id).await {
        Ok(session) => session,
        Err(error) => return tracing::debug!(%error, "could not attach to a tab"),
    };
    shared.seat(&info, session.clone());
    let mut icon = None;
    let mut pause = LOADING_PAUSE_MIN;
    loop {
        let loading = match look(&shared, &session, &id, &mut icon).await {
            Ok(loading) => loading,
            Err(CdpError::Closed(_) | CdpError::Detached) => return,
            Err(error) => {
                tracing::debug!(%error, "a tab did not say what it shows");
                true
            }
        };
        if loading {
            let woken = timeout(pause, wake.notified()).await.is_ok();
            pause = if woken { LOADING_PAUSE_MIN } else { (pause * 2).min(LOADING_PAUSE_MAX) };
        } else {
            rest(&shared, &wake).await;
            pause = LOADING_PAUSE_MIN;
        }
        sleep(LOOK_PAUSE).await;
    }
}

/// Until there may be news. A title that a script sets is told by nobody: while somebody watches, it is looked for.
async fn rest(shared: &Shared, wake: &Notify) {
    if shared.lookers.load(Ordering::Relaxed) > 0 {
        drop(timeout(TITLE_PAUSE, wake.notified()).await);
    } else {
        wake.notified().await;
    }
}

/// One look; says whether the page still loads.
async fn look(shared: &Shared, session: &Session, id: &TargetId, icon: &mut Option<String>) -> Result<bool, CdpError> {
    let history = session.call_within(LOOK_LIMIT, GetNavigationHistory {}).await?;
    let entry = usize::try_from(history.current_index).ok().and_then(|index| history.entries.get(index));
    shared.change(id, |tab| {
        tab.can_go_back = history.current_index > 0;
        tab.can_go_forward = history.current_index + 1 < history.entries.len() as i64;
        if let Some(entry) = entry.filter(|entry| !entry.title.is_empty()) {
            tab.title = bounded(&entry.title, TITLE_BYTES_MAX);
        }
    });
    let world = CreateIsolatedWorld {
        frame_id: FrameId(id.0.clone()),
        world_name: Some(WORLD.into()),
        ..CreateIsolatedWorld::default()
    };
    let context = session.call_within(LOOK_LIMIT, world).await?.execution_context_id;
    let evaluate = |expression: String| Evaluate {
        expression,
        context_id: Some(context),
        return_by_value: Some(true),
        await_promise: Some(true),
        ..Evaluate::default()
    };
    let seen = session.call_within(LOOK_LIMIT, evaluate(LOOK.into())).await?.result.value;
    let Some(seen) = seen.and_then(|seen| serde_json::from_value::<Seen>(seen).ok()) else { return Ok(true) };
    // Only a living renderer answers: a crashed one was replaced by a reload.
    shared.change(id, |tab| (tab.loading, tab.crashed) = (seen.loading, false));
    if shared.lookers.load(Ordering::Relaxed) > 0 && !seen.loading && *icon != seen.icon {
        icon.clone_from(&seen.icon);
        let address = seen.icon.unwrap_or_default();
        let favicon = match favicon(&address) {
            None => None,
            Some(Favicon::Data) => Some(address),
            Some(Favicon::Remote) => {
                let call = format!(
                    "({FAVICON})({}, {}, {})",
                    serde_json::Value::from(address),
                    FAVICON_BYTES_MAX * 3 / 4 - 64,
                    FAVICON_LIMIT.as_millis()
                );
                let answer = session.call_within(FAVICON_LIMIT + LOOK_LIMIT, evaluate(call)).await?;
                answer.result.value.and_then(|value| value.as_str().map(str::to_owned))
            }
        };
        let favicon = favicon.filter(|data| data.len() <= FAVICON_BYTES_MAX && data.starts_with("data:image/"));
        shared.change(id, |tab| tab.favicon = favicon.map(Arc::from));
    }
    Ok(seen.loading)
}

enum Favicon {
    Data,
    Remote,
}

fn favicon(address: &str) -> Option<Favicon> {
    match address.split_once(':')?.0 {
        "data" => Some(Favicon::Data),
        "http" | "https" => Some(Favicon::Remote),
        _ => None,
    }
}
