//! What is in an image, as data (`images/*.toml`).
//!
//! The product's own definitions are compiled in; an operator's come from a file of the same form. The hash covers every
//! field and the builder's version, not comments or order, so the same hash is the same recipe.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ImageError;

/// Part of every hash: raise it when the builder makes something else out of the same definition.
const BUILDER_VERSION: &str = "2";

/// Hex digits of the hash that name an image's folder.
const HASH_DIGITS: usize = 16;

const EMBEDDED: [(&str, &str); 3] = [
    ("documents", include_str!("../../../../images/documents.toml")),
    ("standard", include_str!("../../../../images/standard.toml")),
    ("minimal", include_str!("../../../../images/minimal.toml")),
];

/// The recipe of one image.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    pub name: String,
    pub description: String,
    /// The product's own definition of which this one is an extension. What it says is part of this one once read.
    #[serde(default, skip_serializing)]
    pub extends: Option<String>,
    pub debian: Debian,
    #[serde(default, rename = "program")]
    pub programs: Vec<Program>,
    /// What every program in a capsule of this image starts with.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Name → shell line that must succeed in the finished image and whose first line of output is its version.
    #[serde(default)]
    pub checks: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Debian {
    /// The release's code name.
    pub suite: String,
    pub packages: Vec<String>,
}

/// A program that is taken from a package of the npm registry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    pub package: String,
    /// A version or a range, as npm understands it.
    pub version: String,
    /// Path in the package (`.` is all of it) → path in the image.
    pub copy: BTreeMap<String, String>,
    /// Path in the image → what the symbolic link there says.
    #[serde(default)]
    pub link: BTreeMap<String, String>,
}

impl Definition {
    /// The product's own definition of that name.
    pub fn embedded(name: &str) -> Result<Definition, ImageError> {
        let Some((_, text)) = EMBEDDED.iter().find(|(known, _)| *known == name) else {
            let known: Vec<_> = Definition::embedded_names().collect();
            return Err(ImageError::Unknown { name: name.to_owned(), known: known.join(", ") });
        };
        Definition::parse(text, &format!("images/{name}.toml"))
    }

    pub fn embedded_names() -> impl Iterator<Item = &'static str> {
        EMBEDDED.iter().map(|(name, _)| *name)
    }

    /// An operator's own definition.
    pub fn read(path: &Path) -> Result<Definition, ImageError> {
        let text = std::fs::read_to_string(path).map_err(ImageError::file("reading", path))?;
        Definition::parse(&text, &path.display().to_string())
    }

    fn parse(text: &str, path: &str) -> Result<Definition, ImageError> {
        let invalid = |reason: String| ImageError::Definition { path: path.to_owned(), reason };
        let mut definition: Definition = toml::from_str(text).map_err(|error| invalid(error.to_string()))?;
        if let Some(base) = definition.extends.take() {
            definition.extend(Definition::embedded(&base)?);
        }
        definition.validate().map_err(invalid)?;
        Ok(definition)
    }

    /// Add what the base has; where both say something, this one's word counts.
    fn extend(&mut self, base: Definition) {
        let packages = base.debian.packages.into_iter().chain(std::mem::take(&mut self.debian.packages));
        self.debian.packages = packages.collect::<BTreeSet<_>>().into_iter().collect();
        self.programs.splice(0..0, base.programs);
        for (ours, theirs) in [(&mut self.environment, base.environment), (&mut self.checks, base.checks)] {
            for (name, value) in theirs {
                ours.entry(name).or_insert(value);
            }
        }
    }

    /// Refuses what would end up outside the image or as another argument of a program that the builder calls.
    fn validate(&self) -> Result<(), String> {
        let word = |text: &str| {
            text.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
                && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c))
        };
        if !word(&self.name) || self.name.len() > 40 {
            return Err(format!("`name` is {:?}; use 1 to 40 of a-z, 0-9, `-` and `.`", self.name));
        }
        if let Some(bad) = self.debian.packages.iter().chain([&self.debian.suite]).find(|text| !word(text)) {
            return Err(format!("{bad:?} is not the name of a Debian suite or package"));
        }
        for program in &self.programs {
            if program.package.is_empty() || program.package.starts_with('-') {
                return Err(format!("{:?} is not the name of an npm package", program.package));
            }
            let within = |path: &String| !Path::new(path).is_absolute() && !path.split('/').any(|part| part == "..");
            let mut paths = program.copy.iter().flat_map(|(from, to)| [from, to]).chain(program.link.keys());
            if let Some(bad) = paths.find(|path| !within(path)) {
                return Err(format!("{bad:?} of {} must be relative and without `..`", program.package));
            }
        }
        let line = |text: &String| text.contains('\n');
        if let Some((name, _)) = self.checks.iter().find(|(name, check)| !word(name) || line(check)) {
            return Err(format!("the check {name:?} must be one line with a name of a-z, 0-9, `-` and `.`"));
        }
        Ok(())
    }

    /// Names this recipe; equal for equal content.
    pub fn hash(&self) -> String {
        let recipe = serde_json::to_vec(self).expect("a definition has only string keys");
        let digest = Sha256::new().chain_update(BUILDER_VERSION).chain_update([0]).chain_update(recipe).finalize();
        let mut hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        hex.truncate(HASH_DIGITS);
        hex
    }

    /// The name of its folder in a store.
    pub fn id(&self) -> String {
        format!("{}-{}", self.name, self.hash())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_definition_is_valid_and_bears_its_name() {
        for name in Definition::embedded_names() {
            let definition = Definition::embedded(name).unwrap();
            assert_eq!(definition.name, name);
            assert_eq!(definition.environment["SSL_CERT_FILE"], "/etc/ssl/certs/ca-certificates.crt");
        }
    }

    #[test]
    fn an_extension_has_all_of_its_base() {
        let base = Definition::embedded("standard").unwrap();
        let documents = Definition::embedded("documents").unwrap();
        assert!(base.debian.packages.iter().all(|package| documents.debian.packages.contains(package)));
        assert!(documents.debian.packages.iter().any(|package| package == "libreoffice-writer-nogui"));
        assert_eq!(documents.programs.len(), base.programs.len());
        assert!(base.checks.keys().all(|check| documents.checks.contains_key(check)));
        assert_ne!(documents.hash(), base.hash());
        let unknown = "name='a'\ndescription=''\nextends='b'\n[debian]\nsuite='bookworm'\npackages=[]";
        assert!(matches!(Definition::parse(unknown, "test"), Err(ImageError::Unknown { .. })));
    }

    #[test]
    fn the_hash_follows_content_not_comments() {
        let plain = "name='a'\ndescription=''\n[debian]\nsuite='bookworm'\npackages=['git']";
        let commented = format!("# a comment\n{plain} # another");
        let other = plain.replace("git", "curl");
        let hash = |text: &str| Definition::parse(text, "test").unwrap().hash();
        assert_eq!(hash(plain), hash(&commented));
        assert_ne!(hash(plain), hash(&other));
        assert_eq!(hash(plain).len(), HASH_DIGITS);
    }

    #[test]
    fn paths_and_names_that_lead_out_of_the_image_are_refused() {
        let base = "name='a'\ndescription=''\n[debian]\nsuite='bookworm'\npackages=['git']\n";
        for bad in [
            base.replace("'a'", "'../a'"),
            base.replace("'git'", "'--hook=x'"),
            base.replace("'bookworm'", "'book worm'"),
            format!("{base}[[program]]\npackage='p'\nversion='1'\ncopy={{'../x'='y'}}"),
            format!("{base}[[program]]\npackage='p'\nversion='1'\ncopy={{'x'='/etc/passwd'}}"),
            format!("{base}[[program]]\npackage='-p'\nversion='1'\ncopy={{'x'='y'}}"),
            format!("{base}[checks]\nx='a\\nb'").replace("'a\\nb'", "\"a\\nb\""),
            format!("{base}surprise=1"),
        ] {
            let refused = Definition::parse(&bad, "test").unwrap_err();
            assert!(matches!(refused, ImageError::Definition { .. }), "{bad}");
        }
    }
}
