//! `/internal/node/objects`: a node brings what a session leaves behind, and asks for what one starts from: a profile, a
//! checkpoint.
//!
//! The bytes go to the object store first, under a key that no row shows; the guarded row makes them visible.

use super::Shown;
use crate::answer::Answer;
use crate::app::App;
use crate::deliver::bytes_of;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use std::time::Duration;
use vitrine_model::api_key::hexadecimal;
use vitrine_model::artifact::{is_name, is_path};
use vitrine_model::wire::{OBJECT_HEADER, Object, ObjectAnswer, ObjectRequest};
use vitrine_model::{ArtifactKind, EpochMs, Error};
use vitrine_store::{Bringing, NewArtifact, NewCheckpoint, NewPack, NewProfile, ObjectError, ObjectKey};

/// Largest pack: a node makes them of about 8 MiB, and one piece of a file never fills more than another.
const PACK_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Largest list of what a checkpoint holds: a million files.
const LIST_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Packs of a checkpoint: hundreds of gigabytes.
const PACKS_MAX: usize = 65_536;
/// Checkpoints that a sandbox may have.
const CHECKPOINTS_MAX: u32 = 1_000;
/// Longest content type that is kept, in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 128;

/// Reads which object it is about, and whether the node may speak for its machine.
fn request(app: &App, shown: &Shown, headers: &HeaderMap) -> Result<ObjectRequest, Error> {
    // Bytes, not text: names are in every language.
    let header = headers.get(OBJECT_HEADER).ok_or_else(|| Error::invalid(OBJECT_HEADER, "is missing"))?;
    let request: ObjectRequest =
        serde_json::from_slice(header.as_bytes()).map_err(|error| Error::invalid(OBJECT_HEADER, error))?;
    app.check_node(shown, &request.machine, request.epoch)?;
    Ok(request)
}

/// `PUT`: keeps it.
pub(super) async fn put(
    State(app): State<App>,
    Extension(shown): Extension<Shown>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Json<ObjectAnswer>> {
    let request = request(&app, &shown, &headers)?;
    let (size, sha256) = match app.announced(&request.object) {
        Ok(announced) => announced,
        Err(message) => return Ok(Json(ObjectAnswer::Refused { message })),
    };
    let Some(session) = app.store.session_of_object(&request).await? else {
        return Ok(Json(ObjectAnswer::NotYours));
    };
    // What is there already need not travel again: its bytes are thrown away as they come.
    if let Object::Pack { sha256, .. } = &request.object
        && app.store.knows_pack(&request, sha256, app.clock.now()).await?
    {
        return Ok(Json(ObjectAnswer::Kept { key: None }));
    }
    let object = ObjectKey::new(&session.id, session.generation, app.entropy.as_ref());
    app.store.announce_object(&object, app.clock.now()).await?;
    let pause_max = Duration::from_millis(app.config.body_timeout_ms);
    let answer = match app.objects.put(&object, bytes_of(body, pause_max), size, &sha256).await {
        Ok(()) => app.show(&request, object.clone(), size, sha256).await,
        Err(error @ (ObjectError::Size(_) | ObjectError::Hash)) => {
            Ok(ObjectAnswer::Refused { message: format!("could not {error}") })
        }
        Err(error @ ObjectError::Body(_)) => Err(Error::invalid("body", format!("could not {error}"))),
        Err(error) => Err(Error::internal(format!("could not {error}"))),
    };
    if !matches!(answer, Ok(ObjectAnswer::Kept { .. })) {
        tracing::debug!(session = %request.session, ?answer, "an object was not kept");
    }
    // Of one that a row shows now, nothing is abandoned.
    app.store.abandon_object(&object, app.clock.now()).await?;
    Ok(Json(answer?))
}

/// `GET`: a saved profile, a checkpoint's list or a pack; its size and hash stand in the answer's own header.
pub(super) async fn get(
    State(app): State<App>,
    Extension(shown): Extension<Shown>,
    headers: HeaderMap,
) -> Answer<Response> {
    let request = request(&app, &shown, &headers)?;
    let (object, key, size) = match &request.object {
        Object::Profile { .. } => {
            let saved = app.store.profile_for(&request).await?.ok_or_else(|| Error::not_found("saved profile"))?;
            (Object::Profile { size: saved.size, sha256: hexadecimal(&saved.sha256) }, saved.object, saved.size)
        }
        Object::Pack { sha256, .. } => {
            let pack = app.store.pack_for(&request, sha256).await?.ok_or_else(|| Error::not_found("pack"))?;
            (Object::Pack { sha256: pack.sha256, size: pack.size }, pack.object, pack.size)
        }
        Object::Checkpoint { id, .. } => {
            let kept = app.store.checkpoint_for(&request, id).await?.ok_or_else(|| Error::not_found("checkpoint"))?;
            let size = kept.manifest_bytes;
            let (sha256, workspace_bytes) = (hexadecimal(&kept.sha256), kept.workspace_bytes);
            // Which packs it needs, the list itself says.
            let found = Object::Checkpoint { id: kept.id, size, sha256, packs: Vec::new(), workspace_bytes };
            (found, kept.object, size)
        }
        Object::Artifact { .. } => {
            return Err(Error::invalid(OBJECT_HEADER, "names an artifact: those are only brought").into());
        }
    };
    let bytes = app.objects.get(&key, None).await.map_err(|error| Error::internal(format!("could not {error}")))?;
    let response = Response::builder()
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, size)
        .header(OBJECT_HEADER, serde_json::to_string(&object).map_err(Error::internal)?)
        .body(Body::from_stream(bytes));
    Ok(response.map_err(Error::internal)?)
}

impl App {
    /// Size and hash of what is announced, or why it cannot be kept.
    fn announced(&self, object: &Object) -> Result<(u64, [u8; 32]), String> {
        let (size, sha256, bytes_max) = match object {
            Object::Artifact { kind, name, content_type, size, sha256, .. } => {
                let fits = if *kind == ArtifactKind::File { is_path(name) } else { is_name(name) };
                let plain = content_type.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
                if !fits || !plain || content_type.len() > CONTENT_TYPE_BYTES_MAX {
                    return Err("its name or type cannot be kept".to_owned());
                }
                (*size, sha256, self.config.artifact_bytes_max)
            }
            Object::Profile { size, sha256 } => (*size, sha256, self.config.profile_bytes_max),
            Object::Pack { sha256, size } => (*size, sha256, PACK_BYTES_MAX),
            Object::Checkpoint { size, sha256, packs, .. } => {
                if packs.len() > PACKS_MAX || packs.iter().any(|pack| from_hexadecimal(pack).is_none()) {
                    return Err(format!("expected at most {PACKS_MAX} packs, by their sha256"));
                }
                (*size, sha256, LIST_BYTES_MAX)
            }
        };
        if size > bytes_max {
            return Err(format!("it has {size} bytes; {bytes_max} are kept"));
        }
        let sha256 = from_hexadecimal(sha256).ok_or("its sha256 is not 64 hexadecimal characters")?;
        Ok((size, sha256))
    }

    /// Shows an object whose bytes are there.
    async fn show(
        &self,
        request: &ObjectRequest,
        object: ObjectKey,
        size: u64,
        sha256: [u8; 32],
    ) -> Result<ObjectAnswer, Error> {
        let now = self.clock.now();
        let brought = match &request.object {
            Object::Artifact { kind, name, content_type, .. } => {
                let new = NewArtifact {
                    kind: *kind,
                    name: name.clone(),
                    content_type: content_type.clone(),
                    size,
                    sha256,
                    object,
                    expires_at: self.artifact_expires_at(now),
                };
                self.store.publish_artifact(request, &new, self.config.artifacts_max, now).await
            }
            Object::Profile { .. } => {
                self.store.publish_profile(request, &NewProfile { size, sha256, object }, now).await
            }
            Object::Pack { sha256, .. } => {
                let new = NewPack { sha256: sha256.clone(), size, object };
                self.store.publish_pack(request, &new, now).await
            }
            Object::Checkpoint { id, packs, workspace_bytes, .. } => {
                let new = NewCheckpoint {
                    id: id.clone(),
                    manifest_bytes: size,
                    sha256,
                    object,
                    packs: packs.clone(),
                    workspace_bytes: *workspace_bytes,
                    expires_at: self.artifact_expires_at(now),
                };
                self.store.publish_checkpoint(request, &new, CHECKPOINTS_MAX, now).await
            }
        };
        Ok(match brought.map_err(|error| Error::internal(format!("could not {error}")))? {
            Bringing::Kept { key } => ObjectAnswer::Kept { key },
            Bringing::NotYours => ObjectAnswer::NotYours,
            Bringing::PacksMissing => ObjectAnswer::Refused { message: "not all of its packs are there".to_owned() },
            Bringing::TooMany => {
                let message = match &request.object {
                    Object::Checkpoint { .. } => format!("the sandbox has {CHECKPOINTS_MAX} checkpoints already"),
                    _ => format!("the session has {} artifacts already", self.config.artifacts_max),
                };
                ObjectAnswer::Refused { message }
            }
        })
    }

    fn artifact_expires_at(&self, now: EpochMs) -> Option<EpochMs> {
        let kept_ms = self.config.artifacts_kept_ms;
        (kept_ms > 0).then(|| now.saturating_add_unsigned(kept_ms))
    }
}

fn from_hexadecimal(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 2 * bytes.len() || !text.is_ascii() {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(bytes)
}
