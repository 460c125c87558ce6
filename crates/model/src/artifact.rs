//! What a session leaves behind: files that stay after its end, each under a key that is unique in the session.

use serde::{Deserialize, Serialize};

/// What an artifact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArtifactKind {
    /// A picture that a client asked for.
    Screenshot,
    /// The session's HAR file.
    Har,
    /// The session's MP4.
    Recording,
    /// A file that a page gave.
    Download,
    /// A file of a sandbox's `/workspace/artifacts`.
    File,
}

impl ArtifactKind {
    /// All kinds.
    pub const ALL: [ArtifactKind; 5] = [
        ArtifactKind::Screenshot,
        ArtifactKind::Har,
        ArtifactKind::Recording,
        ArtifactKind::Download,
        ArtifactKind::File,
    ];

    /// The word in the API and the table.
    pub fn as_str(self) -> &'static str {
        match self {
            ArtifactKind::Screenshot => "screenshot",
            ArtifactKind::Har => "har",
            ArtifactKind::Recording => "recording",
            ArtifactKind::Download => "download",
            ArtifactKind::File => "file",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<ArtifactKind> {
        ArtifactKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The key of a file of this kind: the first part says what it is, the second how it is called.
    pub fn key(self, name: &str) -> String {
        match self {
            ArtifactKind::Screenshot => format!("screenshots/{name}"),
            ArtifactKind::Har => format!("har/{name}"),
            ArtifactKind::Recording => format!("recordings/{name}"),
            ArtifactKind::Download => format!("downloads/{name}"),
            ArtifactKind::File => format!("files/{name}"),
        }
    }
}

/// Whether names joined by slashes can stand in a key: a file's place below a folder.
pub fn is_path(path: &str) -> bool {
    path.len() <= NAME_BYTES_MAX && path.split('/').all(is_name)
}

/// Longest name of an artifact, in bytes: what file systems allow.
pub const NAME_BYTES_MAX: usize = 255;

/// Whether a name can stand in a key: no path, no control characters, not empty.
pub fn is_name(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name != "."
        && name != ".."
        && !name.contains(['/', '\\'])
        && !name.chars().any(char::is_control)
}
