//! The files that pages give: listed while they come, copied out of the capsule when they are whole.

use crate::browser::BrowserCapsule;
use crate::clock;
use crate::config::CarriedConfig;
use crate::content_type;
use crate::spool::{Folder, Made, OBJECTS_MAX, Place, Record, copy};
use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::Notify;
use vitrine_browser::downloads::{Download, Downloads, State};
use vitrine_browser::view;
use vitrine_model::artifact::is_name;
use vitrine_model::{ArtifactKind, EpochMs};

/// Tries to find a free name before one is made of the number.
const NAMES_TRIED_MAX: usize = 100;
/// Where a file is copied to before it is an object.
const DRAFT: &str = "download.draft";

/// One file, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Downloaded {
    /// `downloads/NAME`, unique in the session.
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) at: EpochMs,
    pub(crate) whole: bool,
    pub(crate) key: Option<String>,
}

struct One {
    /// Empty once the run was adopted: the browser's name for it is forgotten.
    guid: String,
    path: String,
    url: String,
    size: u64,
    /// 0 when the site does not say.
    total: u64,
    at: EpochMs,
    state: State,
    /// Where it is in the capsule, once it is whole.
    inside: Option<String>,
    /// Still to be copied.
    waits: bool,
    object: Option<u64>,
}

impl One {
    /// As viewers are told of it.
    fn told(&self) -> view::Download {
        let is_whole = self.state == State::Completed;
        view::Download {
            // Of one that an earlier node saw, the path is as good.
            id: if self.guid.is_empty() { self.path.clone() } else { self.guid.clone() },
            name: self.path.rsplit('/').next().unwrap_or_default().to_owned(),
            url: self.url.clone(),
            size: (self.total > 0).then_some(self.total),
            received: self.size,
            state: super::viewing::state(self.state),
            path: is_whole.then(|| self.path.clone()),
        }
    }
}

/// All downloads of a run.
pub(super) struct Kept {
    folder: Arc<Folder>,
    file_bytes_max: u64,
    session_bytes_max: u64,
    all: Mutex<Vec<One>>,
    whole: Notify,
}

impl Kept {
    pub(super) fn new(folder: Arc<Folder>, config: &CarriedConfig) -> Self {
        let all = folder.records().into_iter().filter_map(known).collect();
        Self {
            folder,
            file_bytes_max: config.file_bytes_max,
            session_bytes_max: config.session_bytes_max,
            all: Mutex::new(all),
            whole: Notify::new(),
        }
    }

    pub(super) fn list(&self) -> Vec<Downloaded> {
        let records = self.folder.records();
        let key = |object| records.iter().find(|record| Some(record.number) == object)?.key.clone();
        let all = self.lock();
        all.iter()
            .filter(|one| one.state != State::Cancelled)
            .map(|one| Downloaded {
                path: one.path.clone(),
                size: one.size,
                at: one.at,
                whole: one.state == State::Completed,
                key: key(one.object),
            })
            .collect()
    }

    pub(super) fn find(&self, path: &str) -> Option<String> {
        self.lock().iter().find(|one| one.path == path)?.inside.clone()
    }

    /// All of them, as viewers are told.
    pub(super) fn told(&self) -> Vec<view::Download> {
        self.lock().iter().map(One::told).collect()
    }

    /// Takes note of what a browser tells until its connection ends, and passes it on.
    pub(super) async fn watch(&self, mut downloads: Downloads, tell: impl Fn(view::Download)) {
        while let Some(download) = downloads.next().await {
            self.note(download).into_iter().for_each(&tell);
        }
    }

    /// `None` when there are too many.
    fn note(&self, download: Download) -> Option<view::Download> {
        let mut all = self.lock();
        let index = match all.iter().position(|one| one.guid == download.guid) {
            Some(index) => index,
            None if all.len() >= OBJECTS_MAX => return None,
            None => {
                let path = free_path(&all, &download.name);
                all.push(One {
                    guid: download.guid,
                    path,
                    url: download.url,
                    size: 0,
                    total: 0,
                    at: 0,
                    state: State::InProgress,
                    inside: None,
                    waits: false,
                    object: None,
                });
                all.len() - 1
            }
        };
        let one = &mut all[index];
        one.size = download.received_bytes;
        one.total = download.total_bytes;
        one.at = clock::now();
        one.state = download.state;
        if download.state == State::Completed {
            one.inside = download.path;
            one.waits = one.inside.is_some();
            self.whole.notify_one();
        }
        Some(one.told())
    }

    /// Copies what is whole, as it comes.
    pub(super) async fn keep(&self, browser: &BrowserCapsule) -> ! {
        loop {
            self.keep_rest(browser).await;
            self.whole.notified().await;
        }
    }

    /// Copies all that is whole and was not copied yet.
    pub(super) async fn keep_rest(&self, browser: &BrowserCapsule) {
        while let Some((path, inside)) = self.next_whole() {
            let object = match self.copy(browser, &path, &inside).await {
                Ok(object) => object,
                Err(error) => {
                    let session = &self.folder.owner.session;
                    tracing::warn!(%session, path, error, "a download stays in its session only");
                    None
                }
            };
            if let Some(one) = self.lock().iter_mut().find(|one| one.path == path) {
                one.waits = false;
                one.object = object;
            }
        }
    }

    fn next_whole(&self) -> Option<(String, String)> {
        let all = self.lock();
        let one = all.iter().find(|one| one.waits)?;
        Some((one.path.clone(), one.inside.clone()?))
    }

    async fn copy(&self, browser: &BrowserCapsule, path: &str, inside: &str) -> Result<Option<u64>, String> {
        let taken: u64 = self.folder.records().iter().map(|record| record.made.size).sum();
        let room = self.file_bytes_max.min(self.session_bytes_max.saturating_sub(taken));
        let files = browser.files().map_err(|error| format!("could not {error}"))?;
        let (folder, path, inside) = (self.folder.clone(), path.to_owned(), inside.to_owned());
        let work = move || -> Result<Option<u64>, String> {
            let draft = folder.file(DRAFT);
            let failed = |error: io::Error| format!("could not copy it: {error}");
            let mut from = files.open(&inside).map_err(|error| format!("could not {error}"))?;
            let mut to = std::fs::File::create(&draft).map_err(failed)?;
            let (size, sha256) = copy(&mut from, &mut to, room).map_err(|error| {
                let _ = std::fs::remove_file(&draft);
                failed(error)
            })?;
            let made = Made {
                kind: ArtifactKind::Download,
                name: path.rsplit('/').next().unwrap_or_default().to_owned(),
                content_type: content_type::of(&path).to_owned(),
                size,
                sha256,
                place: Some(Place { path, inside }),
            };
            folder.add(made, &draft).map_err(failed)
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| error.to_string())?
    }

    fn lock(&self) -> MutexGuard<'_, Vec<One>> {
        self.all.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A download that an earlier node copied.
fn known(record: Record) -> Option<One> {
    let Place { path, inside } = record.made.place?;
    Some(One {
        guid: String::new(),
        path,
        url: String::new(),
        size: record.made.size,
        total: record.made.size,
        at: clock::now(),
        state: State::Completed,
        inside: Some(inside),
        waits: false,
        object: Some(record.number),
    })
}

/// A path that no other file has, as close as possible to what the site calls it.
fn free_path(all: &[One], name: &str) -> String {
    let taken: HashSet<&str> = all.iter().map(|one| one.path.as_str()).collect();
    let name = if is_name(name) { name } else { "download" };
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let numbered = |number: usize| match number {
        0 => format!("{}/{name}", super::DOWNLOADS),
        number => format!("{}/{stem} ({number}){extension}", super::DOWNLOADS),
    };
    // Pages may call their files by numbers, too: it is counted until one is free.
    let bare = (all.len()..).map(|number| format!("{}/{number}", super::DOWNLOADS));
    let is_free = |path: &String| !taken.contains(path.as_str()) && path.rsplit('/').next().is_some_and(is_name);
    (0..NAMES_TRIED_MAX).map(numbered).chain(bare).find(is_free).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(path: &str) -> One {
        One {
            guid: String::new(),
            path: path.into(),
            url: String::new(),
            size: 0,
            total: 0,
            at: 0,
            state: State::Completed,
            inside: None,
            waits: false,
            object: None,
        }
    }

    #[test]
    fn two_files_never_have_one_path() {
        let mut all = Vec::new();
        for expected in ["report.tar.gz", "report.tar (1).gz", "report.tar (2).gz"] {
            let path = free_path(&all, "report.tar.gz");
            assert_eq!(path, format!("downloads/{expected}"));
            all.push(one(&path));
        }
        assert_eq!(free_path(&all, "../x"), "downloads/download");
        let long = "x".repeat(255);
        all.push(one(&free_path(&all, &long)));
        assert_eq!(free_path(&all, &long), "downloads/4", "a name that cannot grow");
        all.push(one("downloads/5"));
        assert_eq!(free_path(&all, &long), "downloads/6", "a page called another one by the number");
    }
}
