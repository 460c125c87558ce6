//! Asking a tab's document: our own functions, in a world that the page cannot see, and never for longer than a call may take.

use super::call::Call;
use super::failure::Failure;
use crate::tabs::WORLD;
use crate::view::attend::Attended;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use vitrine_cdp::Session;
use vitrine_cdp::protocol::page::{CreateIsolatedWorld, FrameId};
use vitrine_cdp::protocol::runtime::{CallArgument, CallFunctionOn, ExecutionContextId};
use vitrine_cdp::protocol::target::TargetId;

const PAGE: &str = include_str!("page.js");
/// Between two looks for what is not there yet: at first often, then less and less.
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(10);
const LOOK_AGAIN_MAX: Duration = Duration::from_millis(250);

/// What a function says of the element that it was asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state")]
pub(super) enum Found {
    Ready {
        #[serde(default)]
        x: f64,
        #[serde(default)]
        y: f64,
        #[serde(default)]
        filled: bool,
        #[serde(default)]
        value: Value,
    },
    #[default]
    Missing,
    Hidden,
    Covered {
        by: String,
    },
    Disabled,
    Unsupported,
    Invalid,
}

impl Found {
    /// Why it cannot be used as it is.
    pub fn failure(self, method: &str, selector: &str) -> Failure {
        let element = format!("the element that matches {selector:?}");
        match self {
            Found::Ready { .. } => Failure::internal(format!("{element} is in use")),
            Found::Missing => Failure::missing(&element),
            Found::Hidden => Failure::conflict(format!("{element} cannot be seen")),
            Found::Covered { by } => Failure::conflict(format!("{element} is covered by {by:?}")),
            Found::Disabled => Failure::conflict(format!("{element} is disabled")),
            Found::Unsupported => Failure::unsupported(&format!("{element} does not support typing")),
            Found::Invalid => Failure::requires(method, &format!("a non-empty CSS selector, and {selector:?} is none")),
        }
    }

    /// Whether a moment later it may be otherwise.
    fn may_change(&self) -> bool {
        matches!(self, Found::Missing | Found::Hidden | Found::Covered { .. } | Found::Disabled)
    }
}

impl Call<'_> {
    /// Runs a function of `page.js` in the tab's main frame.
    pub async fn ask<T: DeserializeOwned>(
        &self,
        tab: &TargetId,
        attended: &Attended,
        verb: &str,
        argument: Value,
    ) -> Result<T, Failure> {
        let asked = function(tab, attended, verb, argument, self.left());
        tokio::select! {
            answer = asked => answer,
            () = self.dialog(tab) => Err(Failure::conflict("a dialog is open in the page, which answers nothing until then")),
        }
    }

    /// Asks for an element until it is as it should be or the time is over.
    pub async fn find(&self, tab: &TargetId, verb: &str, selector: &str, more: Value) -> Result<Found, Failure> {
        let waits = !self.arguments.options(1).is_not("waitForSelector")
            && !self.arguments.options(2).is_not("waitForSelector");
        let mut argument = json!({ "selector": selector });
        if let (Some(fields), Value::Object(more)) = (argument.as_object_mut(), more) {
            fields.extend(more);
        }
        let mut pause = LOOK_AGAIN_MIN;
        let mut last = None;
        loop {
            let attended = self.attended(tab).await?;
            let found = match self.ask::<Found>(tab, &attended, verb, argument.clone()).await {
                Ok(found @ Found::Ready { .. }) => return Ok(found),
                Ok(found) => found,
                // The document went away while it was asked: its successor may have it.
                Err(failure) if failure.is_of_a_document() => Found::Missing,
                Err(failure) if failure.is_late() => match last {
                    Some(found) => found,
                    None => return Err(failure),
                },
                Err(failure) => return Err(failure),
            };
            if !waits || !found.may_change() || Instant::now() + pause >= self.deadline {
                return Err(found.failure(self.arguments.method(), selector));
            }
            last = Some(found);
            sleep(pause).await;
            pause = (pause * 2).min(LOOK_AGAIN_MAX);
        }
    }
}

async fn function<T: DeserializeOwned>(
    tab: &TargetId,
    attended: &Attended,
    verb: &str,
    argument: Value,
    limit: Duration,
) -> Result<T, Failure> {
    let commits = attended.life.borrow().commits;
    if let Some(context) = attended.world_of(commits) {
        match call(&attended.page, context, verb, argument.clone(), limit).await {
            // The document that it was of gave way to another.
            Err(failure) if failure.is_of_a_document() => {}
            answer => return answer,
        }
    }
    let world = CreateIsolatedWorld {
        frame_id: FrameId(tab.0.clone()),
        world_name: Some(WORLD.into()),
        ..CreateIsolatedWorld::default()
    };
    let context = attended.page.call_within(limit, world).await?.execution_context_id;
    attended.keep_world(commits, context);
    call(&attended.page, context, verb, argument, limit).await
}

async fn call<T: DeserializeOwned>(
    page: &Session,
    context: ExecutionContextId,
    verb: &str,
    argument: Value,
    limit: Duration,
) -> Result<T, Failure> {
    let given = |value| CallArgument { value: Some(value), unserializable_value: None, object_id: None };
    let call = CallFunctionOn {
        function_declaration: PAGE.to_owned(),
        arguments: Some(vec![given(verb.into()), given(argument)]),
        return_by_value: Some(true),
        execution_context_id: Some(context),
        ..CallFunctionOn::default()
    };
    let answer = page.call_within(limit, call).await?;
    if let Some(thrown) = answer.exception_details {
        tracing::debug!(?thrown, verb, "a function failed in a page");
        return Err(Failure::internal("the page could not be read"));
    }
    let value = answer.result.value.unwrap_or_default();
    serde_json::from_value(value).map_err(|_| Failure::internal("the page could not be read"))
}
