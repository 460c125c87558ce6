//! Where Debian packages come from: this machine's own apt configuration.
//!
//! An image follows the mirrors, proxies and credentials that the operator has already set up for the machine. Entries
//! of other archives (databases, vendors) are left out; a machine of another Debian release lends its mirrors, with the
//! release's name replaced. A machine with no Debian entry at all (another distribution) leaves the choice to mmdebstrap.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// Parts of a release that an image is built from: the release itself, fixes of errors, fixes of security.
const POCKETS: [&str; 3] = ["", "updates", "security"];

/// Names under which an entry may mean a whole Debian release other than by its code name.
const ALIASES: [&str; 3] = ["stable", "oldstable", "testing"];

/// What apt is told in addition: how to reach mirrors, as on this machine.
const OPTIONS: [&str; 4] = ["Acquire::http::", "Acquire::https::", "Acquire::Retries", "Acquire::Check-"];

/// One-line entries for `suite`, made from this machine's entries for Debian.
pub(super) fn sources(suite: &str) -> Vec<String> {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let host_suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or(suite);
    let mut found = BTreeSet::new();
    for text in source_files(Path::new("/etc/apt")) {
        found.extend(entries(&text).iter().filter_map(|entry| entry.for_suite(suite, host_suite)).flatten());
    }
    found.into_iter().collect()
}

/// This machine's apt options that say how mirrors are reached, in apt's own syntax.
pub(super) fn options() -> Vec<String> {
    let dump = Command::new("apt-config").arg("dump").output().map(|output| output.stdout).unwrap_or_default();
    let mut options: Vec<String> = String::from_utf8_lossy(&dump)
        .lines()
        .filter(|line| OPTIONS.iter().any(|prefix| line.starts_with(prefix)) && !line.ends_with("\"\";"))
        .map(|line| line.trim_end_matches(';').to_owned())
        .collect();
    // Credentials stay in the machine's files, which apt reads from outside the image.
    options.push("Dir::Etc::netrc \"/etc/apt/auth.conf\"".to_owned());
    options.push("Dir::Etc::netrcparts \"/etc/apt/auth.conf.d\"".to_owned());
    options
}

/// The contents of every file that apt reads sources from; deb822 files begin with a mark that [`entries`] looks for.
fn source_files(directory: &Path) -> Vec<String> {
    let mut paths = vec![directory.join("sources.list")];
    if let Ok(parts) = std::fs::read_dir(directory.join("sources.list.d")) {
        let known =
            |path: &Path| path.extension().is_some_and(|extension| extension == "list" || extension == "sources");
        paths.extend(parts.flatten().map(|entry| entry.path()).filter(|path| known(path)));
    }
    paths.iter().filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}

#[derive(Debug, Default)]
struct Entry {
    options: Vec<String>,
    signed_by: Option<String>,
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
}

impl Entry {
    /// The same entry for the wanted release, when it is one of Debian's own.
    fn for_suite(&self, wanted: &str, host: &str) -> Option<Vec<String>> {
        if !self.components.iter().any(|component| component == "main") || !self.is_debian() {
            return None;
        }
        let mut lines = Vec::new();
        for suite in &self.suites {
            let (release, pocket) = suite.split_once(['-', '/']).unwrap_or((suite, ""));
            let whole = release == wanted || release == host || ALIASES.contains(&release);
            if !whole || !POCKETS.contains(&pocket) {
                continue;
            }
            let dash = if pocket.is_empty() { "" } else { "-" };
            let mut options = self.options.clone();
            options.extend(self.signed_by.iter().map(|keyring| format!("signed-by={keyring}")));
            let options = if options.is_empty() { String::new() } else { format!("[{}] ", options.join(" ")) };
            lines.extend(self.uris.iter().map(|uri| format!("deb {options}{uri} {wanted}{dash}{pocket} main")));
        }
        Some(lines)
    }

    /// Debian's own archive: signed by its keyring, or, where no keyring is named, under a path that is called so.
    fn is_debian(&self) -> bool {
        match &self.signed_by {
            Some(keyring) => keyring.contains("debian-archive"),
            None => self
                .uris
                .iter()
                .all(|uri| uri.trim_end_matches('/').rsplit('/').next().is_some_and(|last| last.starts_with("debian"))),
        }
    }
}

fn entries(text: &str) -> Vec<Entry> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let one_line: Vec<Entry> = lines.clone().filter_map(one_line_entry).collect();
    if !one_line.is_empty() {
        return one_line;
    }
    let text: Vec<&str> = lines.collect();
    text.split(|line| line.trim().is_empty()).filter_map(stanza_entry).collect()
}

/// `deb [ options ] uri suite component…`
fn one_line_entry(line: &str) -> Option<Entry> {
    let rest = line.trim().strip_prefix("deb ")?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => ("", rest),
    };
    let mut entry = Entry::default();
    for option in options.split_whitespace() {
        match option.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("signed-by") => entry.signed_by = Some(value.to_owned()),
            _ => entry.options.push(option.to_owned()),
        }
    }
    let mut words = rest.split_whitespace().map(str::to_owned);
    entry.uris.extend(words.next());
    entry.suites.extend(words.next());
    entry.components.extend(words);
    Some(entry)
}

/// The deb822 form: fields with values that may go on in indented lines.
fn stanza_entry(lines: &[&str]) -> Option<Entry> {
    let mut fields: Vec<(String, Vec<String>)> = Vec::new();
    for line in lines {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        match line.split_once(':') {
            Some((name, value)) if !line.starts_with([' ', '\t']) => {
                fields.push((name.to_ascii_lowercase(), words(value)));
            }
            _ => fields.last_mut()?.1.extend(words(line)),
        }
    }
    let mut take =
        |name: &str| fields.iter_mut().find(|field| field.0 == name).map(|field| std::mem::take(&mut field.1));
    if take("enabled").is_some_and(|value| value == ["no"]) || !take("types")?.contains(&"deb".to_owned()) {
        return None;
    }
    // A key written out in the entry itself is not Debian's: its packages name a keyring file.
    let signed_by = take("signed-by").map(|words| words.join(","));
    Some(Entry {
        options: Vec::new(),
        signed_by,
        uris: take("uris")?,
        suites: take("suites")?,
        components: take("components")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, wanted: &str, host: &str) -> Vec<String> {
        entries(text).iter().filter_map(|entry| entry.for_suite(wanted, host)).flatten().collect()
    }

    const STANZAS: &str = "Types: deb deb-src\n# a note\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\n \
        bookworm-backports\nComponents: main contrib\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n\
        Types: deb\nURIs: http://vendor.test/debian\nSuites: bookworm\nComponents: main\nSigned-By: /k/vendor.gpg\n\n\
        Types: deb\nEnabled: no\nURIs: http://mirror.test/debian\nSuites: bookworm\nComponents: main\n";

    #[test]
    fn both_forms_give_the_debian_entries_alone() {
        let keyring = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ";
        let expected = [
            format!("deb {keyring}http://mirror.test/debian bookworm main"),
            format!("deb {keyring}http://mirror.test/debian bookworm-updates main"),
        ];
        assert_eq!(lines(STANZAS, "bookworm", "bookworm"), expected);

        let list = "# deb http://off.test/debian bookworm main\n\
            deb-src http://mirror.test/debian bookworm main\n\
            deb [arch=amd64] http://mirror.test/debian-security/ bookworm-security main non-free\n\
            deb http://vendor.test/apt bookworm main\n\
            deb http://mirror.test/debian bookworm-pgdg main\n";
        let expected = ["deb [arch=amd64] http://mirror.test/debian-security/ bookworm-security main"];
        assert_eq!(lines(list, "bookworm", "bookworm"), expected);
    }

    #[test]
    fn a_machine_of_another_release_lends_its_mirrors() {
        let list =
            "deb http://mirror.test/debian trixie main\ndeb http://mirror.test/debian-security stable-security main";
        let expected = [
            "deb http://mirror.test/debian bookworm main",
            "deb http://mirror.test/debian-security bookworm-security main",
        ];
        assert_eq!(lines(list, "bookworm", "trixie"), expected);
    }
}
