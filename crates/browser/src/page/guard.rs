//! Keeps pages from addresses that the policy keeps closed, however they get there: by a link, a script, a redirect, in a frame,
//! a window that a page opens, a tab that a client opens.
//!
//! Since there were rules, every new tab waits until its requests for documents come by here, and so does each frame that
//! Chromium runs in a process of its own. What makes no request (a page from the history, one that was open when the rules
//! came) is found by its address and sent to the blank page. Where there never were rules nothing of this exists.

use super::rules;
use crate::view::stage::Stage;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use vitrine_cdp::protocol::fetch::{ContinueRequest, Enable, FailRequest, RequestPattern, RequestPaused};
use vitrine_cdp::protocol::network::{ErrorReason, ResourceType};
use vitrine_cdp::protocol::page::Navigate;
use vitrine_cdp::protocol::runtime::RunIfWaitingForDebugger;
use vitrine_cdp::protocol::target::{AttachedToTarget, FilterEntry, GetTargets, SetAutoAttach, TargetId};
use vitrine_cdp::{CdpError, Missed, Session};

/// Tabs and frames that are guarded at once: as many as can be listed, with some frames each.
const GUARDED_MAX: usize = 1024;
/// How long an address may stand in the list before its page is left: a request that is refused takes it back by itself.
const SETTLE: Duration = Duration::from_millis(300);
/// After a failure of the browser's.
const AGAIN: Duration = Duration::from_secs(1);
/// A page that asks for nothing answers at once.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// Guards for as long as the future lives, from the first rules on: whoever stopped would leave pages waiting for it.
pub(crate) async fn run(stage: &Arc<Stage>) {
    let mut policies = stage.policy.subscribe();
    while policies.wait_for(|policy| rules::has_rules(policy)).await.is_ok() {
        let error = guard(stage).await;
        tracing::debug!(%error, "the pages are not guarded");
        if !stage.tabs.connection().is_open() {
            return;
        }
        sleep(AGAIN).await;
    }
}

/// What is new waits until it is told to go on.
fn attach(kind: &str) -> SetAutoAttach {
    let filter = vec![
        FilterEntry { r#type: Some(kind.into()), exclude: None },
        FilterEntry { r#type: None, exclude: Some(true) },
    ];
    SetAutoAttach { auto_attach: true, wait_for_debugger_on_start: true, flatten: Some(true), filter: Some(filter) }
}

/// Until something fails.
async fn guard(stage: &Arc<Stage>) -> CdpError {
    let connection = stage.tabs.connection();
    let (mut attached, mut list) = (connection.events::<AttachedToTarget>(), stage.tabs.watch());
    let mut policies = stage.policy.subscribe();
    let mut guarded = JoinSet::new();
    if let Err(error) = connection.call(attach("page")).await {
        return error;
    }
    // The list may not have been read yet: the browser says what was there before.
    let present = match connection.call(GetTargets::default()).await {
        Ok(present) => present.target_infos,
        Err(error) => return error,
    };
    for tab in present.iter().filter(|target| target.r#type == "page") {
        if let Ok(session) = connection.attach(&tab.target_id).await {
            guarded.spawn(watch(stage.clone(), session));
        }
    }
    loop {
        tokio::select! {
            event = attached.next() => match event {
                // The others are sessions that somebody asked for.
                Ok(event) if event.waiting_for_debugger && guarded.len() < GUARDED_MAX => {
                    guarded.spawn(watch(stage.clone(), connection.session(event.session_id)));
                }
                Ok(_) | Err(Missed::Lost(_) | Missed::Malformed { .. }) => {}
                Err(Missed::Detached) => return CdpError::Detached,
                Err(Missed::Closed(closed)) => return CdpError::Closed(closed),
            },
            Some(_) = guarded.join_next() => {}
            changed = list.changed() => if changed.is_err() { return CdpError::Detached },
            changed = policies.changed() => if changed.is_err() { return CdpError::Detached },
            () = leave_closed(stage) => {}
        }
    }
}

/// Finds a tab at an address that is closed, a moment later still, and leaves it. Pends when there is none.
async fn leave_closed(stage: &Stage) {
    let closed = |tab: Option<&TargetId>| {
        let (list, policy) = (stage.tabs.watch().borrow().clone(), stage.policy.borrow().clone());
        let mut tabs = list.tabs.iter().filter(|other| tab.is_none_or(|tab| *tab == other.id));
        tabs.find_map(|tab| Some((tab.id.clone(), tab.url.clone(), rules::refusal(&policy, &tab.url)?)))
    };
    let Some((tab, ..)) = closed(None) else { return std::future::pending().await };
    sleep(SETTLE).await;
    let Some((tab, url, reason)) = closed(Some(&tab)) else { return };
    stage.chronicle.denied(&url, reason);
    if let Some(page) = stage.tabs.session(&tab) {
        let blank = Navigate { url: "about:blank".into(), ..Navigate::default() };
        if let Err(error) = page.call_within(LEAVE_LIMIT, blank).await {
            tracing::debug!(%error, "a page that is closed by the policy was not left");
        }
        stage.tabs.set_url(&tab, "about:blank");
    }
}

/// Judges the requests for documents of one tab, or of a frame in a process of its own, until it is gone.
fn watch(stage: Arc<Stage>, session: Session) -> BoxFuture<'static, ()> {
    async move {
        let (mut paused, mut attached) = (session.events::<RequestPaused>(), session.events::<AttachedToTarget>());
        let documents =
            RequestPattern { url_pattern: None, resource_type: Some(ResourceType::Document), request_stage: None };
        let enable = Enable { patterns: Some(vec![documents]), ..Enable::default() };
        // In this order: it goes on when nothing can get past. Not waited for before the requests are: the renderer that answers
        // may be made by the very navigation that is judged.
        let begun = async {
            tokio::join!(session.call(enable), session.call(attach("iframe")), session.call(RunIfWaitingForDebugger {}))
        };
        let mut begun = pin!(begun);
        let mut is_begun = false;
        let connection = stage.tabs.connection();
        let mut frames = JoinSet::new();
        loop {
            tokio::select! {
                answers = &mut begun, if !is_begun => {
                    is_begun = true;
                    if let (Err(error), ..) = answers {
                        tracing::debug!(%error, "a page is not guarded");
                    }
                }
                event = paused.next() => match event {
                    Ok(event) => judge(&stage, &session, event).await,
                    Err(Missed::Lost(_) | Missed::Malformed { .. }) => {}
                    Err(Missed::Detached | Missed::Closed(_)) => return,
                },
                event = attached.next() => match event {
                    Ok(event) if frames.len() < GUARDED_MAX => {
                        frames.spawn(watch(stage.clone(), connection.session(event.session_id)));
                    }
                    Ok(_) | Err(Missed::Lost(_) | Missed::Malformed { .. }) => {}
                    Err(Missed::Detached | Missed::Closed(_)) => return,
                },
                Some(_) = frames.join_next() => {}
            }
        }
    }
    .boxed()
}

async fn judge(stage: &Stage, session: &Session, paused: RequestPaused) {
    let url = paused.request.url + paused.request.url_fragment.as_deref().unwrap_or_default();
    let refusal = rules::refusal(&stage.policy.borrow(), &url);
    let done = match refusal {
        Some(reason) => {
            stage.chronicle.refused(&TargetId(paused.frame_id.0), &url, reason);
            // Aborted, not failed: the page from which it was asked stays.
            let command = FailRequest { request_id: paused.request_id, error_reason: ErrorReason::Aborted };
            session.call(command).await.map(drop)
        }
        None => session
            .call(ContinueRequest { request_id: paused.request_id, ..ContinueRequest::default() })
            .await
            .map(drop),
    };
    if let Err(error) = done {
        tracing::debug!(%error, "a request that was judged is gone");
    }
}
