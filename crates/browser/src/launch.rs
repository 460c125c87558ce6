//! What a browser is started with. Assumes directories that exist and belong to the capsule's user; promises one command
//! line for one `Launch`, with every feature list merged.

use crate::discovery::DEVTOOLS_PORT;
use crate::flags;
use crate::host::Command;
use crate::stealth::Story;

/// Which of Chromium's two programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// The default: no window system, a quarter of the start's CPU time.
    HeadlessShell,
    /// The whole browser, as on a desktop: stealth and extensions need it. `/usr/lib/chromium/chromium` in the image.
    Chromium,
}

/// How one browser is started.
#[derive(Clone, Debug)]
pub struct Launch {
    pub build: Build,
    /// Path inside the host, of the program itself: the distribution's launcher scripts add flags and a shell.
    pub executable: String,
    pub user_data_dir: String,
    /// `$HOME`: where Chromium looks for trusted certificates (see `trust`), fonts and crash folders.
    pub home_dir: String,
    /// `$TMPDIR`, so that nothing of a session is left in a shared folder.
    pub temporary_dir: String,
    pub story: Story,
    /// Merged with ours: Chromium obeys only the last list it is given.
    pub enabled_features: Vec<String>,
    pub disabled_features: Vec<String>,
}

impl Launch {
    /// The command line.
    pub fn command(&self) -> Command {
        let mut argv = vec![self.executable.clone()];
        argv.extend(flags::of(self.build));
        argv.push(format!("--remote-debugging-port={DEVTOOLS_PORT}"));
        argv.push(format!("--user-data-dir={}", self.user_data_dir));
        argv.extend(self.told());
        argv.extend(list("--enable-features", flags::enabled_features(self.build), &self.enabled_features));
        argv.extend(list("--disable-features", flags::disabled_features(self.build), &self.disabled_features));
        // A blank page, ready for the first client.
        argv.push("about:blank".into());
        Command { argv, env: self.environment(), cwd: self.home_dir.clone() }
    }

    /// The flags that tell the story.
    fn told(&self) -> Vec<String> {
        let (width, height) = match self.build {
            Build::HeadlessShell => self.story.viewport,
            Build::Chromium => self.story.window(),
        };
        let mut flags = vec![format!("--window-size={width},{height}")];
        let languages = match self.build {
            // It sends the list as it stands, without weights: one language is the list that looks like itself.
            Build::HeadlessShell => self.story.language.clone(),
            Build::Chromium => {
                let (width, height) = self.story.screen();
                flags.push(format!("--screen-info={{{width}x{height}}}"));
                self.story.languages()
            }
        };
        flags.extend(languages.map(|languages| format!("--accept-lang={languages}")));
        flags.extend(self.story.language.as_ref().map(|language| format!("--lang={language}")));
        flags
    }

    fn environment(&self) -> Vec<(String, String)> {
        let mut variables = vec![("HOME", self.home_dir.clone()), ("TMPDIR", self.temporary_dir.clone())];
        variables.extend(self.story.timezone.clone().map(|timezone| ("TZ", timezone)));
        // The full browser takes the language of its own texts, and so that of `Intl`, from here alone.
        variables.extend(self.story.language.as_ref().map(|language| ("LANGUAGE", language.replace('-', "_"))));
        variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// One flag for a whole list, each name once, or none.
fn list(flag: &str, ours: impl Iterator<Item = &'static str>, more: &[String]) -> Option<String> {
    let mut kept: Vec<&str> = Vec::new();
    for name in ours.map(|name| -> &str { name }).chain(more.iter().map(String::as_str)) {
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    (!kept.is_empty()).then(|| format!("{flag}={}", kept.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(build: Build) -> Launch {
        Launch {
            build,
            executable: "/usr/lib/chromium/chromium".into(),
            user_data_dir: "/profile".into(),
            home_dir: "/home/browser".into(),
            temporary_dir: "/tmp/session".into(),
            story: Story {
                language: Some("de-CH".into()),
                timezone: Some("Europe/Zurich".into()),
                viewport: (1280, 800),
            },
            enabled_features: vec!["Mine".into(), "Mine".into()],
            disabled_features: vec!["Theirs".into(), "BackForwardCache".into()],
        }
    }

    #[test]
    fn feature_lists_are_merged_into_one_flag_each() {
        for build in [Build::HeadlessShell, Build::Chromium] {
            let argv = launch(build).command().argv;
            let lists =
                |flag: &str| argv.iter().filter(|argument| argument.starts_with(flag)).cloned().collect::<Vec<_>>();
            let enabled = lists("--enable-features=");
            assert_eq!(enabled.len(), 1);
            assert_eq!(enabled[0].matches("Mine").count(), 1, "{enabled:?}");
            let disabled = lists("--disable-features=");
            assert_eq!(disabled.len(), 1);
            let names: Vec<_> = disabled[0].split(['=', ',']).skip(1).collect();
            assert!(names.contains(&"Theirs"));
            assert_eq!(names.iter().filter(|name| **name == "BackForwardCache").count(), 1, "{names:?}");
        }
    }

    #[test]
    fn chromiums_own_sandbox_stays_on_and_no_flag_comes_twice() {
        for build in [Build::HeadlessShell, Build::Chromium] {
            let argv = launch(build).command().argv;
            assert!(!argv.iter().any(|argument| argument.contains("no-sandbox") || argument.contains("allow-origins")));
            let mut names: Vec<_> = argv.iter().map(|argument| argument.split('=').next()).collect();
            names.sort();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all, "{argv:?}");
        }
    }
}
