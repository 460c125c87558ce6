//! The frames of one target: looked at, and given an answer.

use super::challenge::{Answer, Challenge, Kind};
use serde_json::{Value, json};
use std::time::Duration;
use vitrine_cdp::protocol::dom::{DescribeNode, ResolveNode};
use vitrine_cdp::protocol::network::LoaderId;
use vitrine_cdp::protocol::page::{CreateIsolatedWorld, FrameId, FrameTree, GetFrameTree};
use vitrine_cdp::protocol::runtime::{CallArgument, CallFunctionOn, Evaluate, ExecutionContextId};
use vitrine_cdp::protocol::target::{TargetId, TargetInfo};
use vitrine_cdp::{CdpError, Session};

const LOOK: &str = include_str!("look.js");
const APPLY: &str = include_str!("apply.js");
/// The world of our scripts in a page.
const WORLD: &str = "vitrine";
/// A page that does not answer within this is passed over.
const CALL_LIMIT: Duration = Duration::from_secs(2);
/// Frames of one target that are looked at.
const FRAMES_MAX: usize = 32;
/// Challenges in one document.
const FOUND_MAX: usize = 8;
/// The longest text that is taken from a page: keys have 40 characters, what is passed through up to a KiB.
const TEXT_MAX: usize = 2048;

/// What one look at a target saw.
pub(super) struct Look {
    /// Changes with each document that the target's own frame loads.
    pub loader: LoaderId,
    pub url: String,
    pub found: Vec<(Place, Challenge)>,
}

/// The frame in which a challenge stands.
#[derive(Clone)]
pub(super) struct Place {
    session: Session,
    frame: FrameId,
}

pub(super) async fn look(session: &Session) -> Result<Look, CdpError> {
    let tree = session.call_within(CALL_LIMIT, GetFrameTree {}).await?.frame_tree;
    let (loader, url) = (tree.frame.loader_id.clone(), cut(&tree.frame.url));
    let mut found = Vec::new();
    let mut frames = Vec::new();
    list(tree, &mut frames);
    for (frame, _) in frames {
        let place = Place { session: session.clone(), frame };
        match place.look().await {
            Ok(seen) => found.extend(seen.into_iter().map(|challenge| (place.clone(), challenge))),
            // It was removed since it was listed.
            Err(CdpError::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Look { loader, url, found })
}

fn list(tree: FrameTree, frames: &mut Vec<(FrameId, LoaderId)>) {
    if frames.len() < FRAMES_MAX {
        frames.push((tree.frame.id, tree.frame.loader_id));
        for child in tree.child_frames.unwrap_or_default() {
            list(child, frames);
        }
    }
}

/// A Turnstile widget, by the frame that it makes: it hides that frame from the page's scripts, ours too.
pub(super) fn turnstile(target: &TargetInfo) -> Option<(&TargetId, Challenge)> {
    let parent = target.parent_id.as_ref()?;
    let path = target.url.strip_prefix("https://challenges.cloudflare.com/")?;
    let path = path.split(['?', '#']).next().filter(|path| path.contains("/turnstile/"))?;
    let is_key = |part: &&str| part.len() > 12 && matches!(part.as_bytes(), [b'0'..=b'3', b'x', ..]);
    let site_key = path.split('/').find(is_key).map(cut);
    let (kind, url) = (Kind::Turnstile, String::new());
    Some((parent, Challenge { kind, url, site_key, action: None, data: None, invisible: false }))
}

/// The beginning of what a page says.
fn cut(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}

impl Place {
    /// The target's own frame, which bears its name.
    pub fn top(session: Session, target: &TargetId) -> Place {
        Place { session, frame: FrameId(target.0.clone()) }
    }

    async fn look(&self) -> Result<Vec<Challenge>, CdpError> {
        let expression = format!("({LOOK})({FOUND_MAX}, {TEXT_MAX})");
        let look = Evaluate { return_by_value: Some(true), ..self.evaluate(expression).await? };
        let found = self.session.call_within(CALL_LIMIT, look).await?.result.value;
        // A document that is just being replaced answers nothing.
        let found = found.and_then(|found| serde_json::from_value::<Vec<Challenge>>(found).ok());
        Ok(found.unwrap_or_default())
    }

    /// Names the document that is in the frame now.
    pub async fn mark(&self) -> Result<LoaderId, String> {
        let tree = self.session.call_within(CALL_LIMIT, GetFrameTree {}).await;
        let mut frames = Vec::new();
        list(tree.map_err(|error| error.to_string())?.frame_tree, &mut frames);
        let here = frames.into_iter().find(|(frame, _)| *frame == self.frame);
        here.map(|(_, loader)| loader).ok_or_else(|| "the page was left meanwhile".into())
    }

    /// Lets the page take the answer.
    pub async fn give(&self, challenge: &Challenge, answer: &Answer) -> Result<(), String> {
        match self.apply(challenge, answer).await {
            Ok(Some(taken)) if taken > 0 => Ok(()),
            Ok(_) => Err("the page has no place for the answer".into()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// How many places of the page took it.
    async fn apply(&self, challenge: &Challenge, answer: &Answer) -> Result<Option<u64>, CdpError> {
        let ours = self.session.call_within(CALL_LIMIT, self.evaluate("document".into()).await?).await?.result;
        // Nodes are the same in every world; resolved without naming one, it comes back in the page's own.
        let node = DescribeNode { object_id: ours.object_id, ..DescribeNode::default() };
        let node = self.session.call_within(CALL_LIMIT, node).await?.node.backend_node_id;
        let theirs = ResolveNode { backend_node_id: Some(node), ..ResolveNode::default() };
        let theirs = self.session.call_within(CALL_LIMIT, theirs).await?.object;
        let arguments = [json!(challenge.kind), json!(challenge.site_key), json!(answer.token), json!(answer.fields)];
        let call = CallFunctionOn {
            function_declaration: APPLY.into(),
            object_id: theirs.object_id,
            arguments: Some(arguments.into_iter().map(argument).collect()),
            return_by_value: Some(true),
            user_gesture: Some(true),
            ..CallFunctionOn::default()
        };
        let taken = self.session.call_within(CALL_LIMIT, call).await?;
        if let Some(exception) = taken.exception_details {
            tracing::debug!(exception = exception.text, "a page did not take an answer");
        }
        Ok(taken.result.value.as_ref().and_then(Value::as_u64))
    }

    /// An expression in our world of the frame.
    async fn evaluate(&self, expression: String) -> Result<Evaluate, CdpError> {
        let context = self.world().await?;
        Ok(Evaluate { expression, context_id: Some(context), ..Evaluate::default() })
    }

    async fn world(&self) -> Result<ExecutionContextId, CdpError> {
        let world = CreateIsolatedWorld {
            frame_id: self.frame.clone(),
            world_name: Some(WORLD.into()),
            ..CreateIsolatedWorld::default()
        };
        Ok(self.session.call_within(CALL_LIMIT, world).await?.execution_context_id)
    }
}

fn argument(value: Value) -> CallArgument {
    CallArgument { value: Some(value), unserializable_value: None, object_id: None }
}
