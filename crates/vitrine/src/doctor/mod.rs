//! `vitrine doctor`: what this machine lacks, what that means, and the command that fixes it.
//!
//! Looking changes nothing that stays: the trial session runs in a temporary folder and is gone afterwards.

pub mod attack;
mod cgroup;
mod image;
mod kernel;
mod machine;
mod trial;

use crate::config::{Loaded, check};
use crate::output;
use serde_json::json;
use std::io::IsTerminal as _;
use std::process::ExitCode;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    Ok,
    /// Sessions run, with less than there could be.
    Warn,
    /// Sessions do not run.
    Fail,
}

impl Grade {
    fn word(self) -> &'static str {
        match self {
            Grade::Ok => "ok",
            Grade::Warn => "warn",
            Grade::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone)]
pub struct Finding {
    pub name: &'static str,
    pub grade: Grade,
    /// What is the case.
    pub found: String,
    /// What that means and what to do; empty when all is well.
    pub advice: String,
}

impl Finding {
    pub fn ok(name: &'static str, found: impl Into<String>) -> Self {
        Self { name, grade: Grade::Ok, found: found.into(), advice: String::new() }
    }

    pub fn warn(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, grade: Grade::Warn, found: found.into(), advice: advice.into() }
    }

    pub fn fail(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { name, grade: Grade::Fail, found: found.into(), advice: advice.into() }
    }
}

/// Looks at everything and prints each finding as it is there. Exit code 1 when something fails.
pub async fn run(loaded: &Loaded, as_json: bool) -> anyhow::Result<ExitCode> {
    let mut findings = Vec::new();
    let mut note = |finding: Finding| {
        if !as_json {
            print(&finding);
        }
        findings.push(finding);
    };
    note(configuration(loaded));
    let config = &loaded.config;
    kernel::look().into_iter().for_each(&mut note);
    cgroup::look().into_iter().for_each(&mut note);
    machine::look(config).into_iter().for_each(&mut note);
    image::look(config).into_iter().for_each(&mut note);
    let fails = |findings: &[Finding]| findings.iter().filter(|finding| finding.grade == Grade::Fail).count();
    if let Some(rootfs) = image::rootfs(config) {
        let found = trial::capsule(&rootfs).await;
        let isolated = found.grade == Grade::Ok;
        note_late(&mut findings, found, as_json);
        if isolated {
            note_late(&mut findings, trial::disk(&rootfs).await, as_json);
            note_late(&mut findings, trial::session(config).await, as_json);
        }
    }
    let failed = fails(&findings);
    if as_json {
        let shown = findings.iter().map(|finding| {
            json!({ "check": finding.name, "status": finding.grade.word(), "found": finding.found,
                    "advice": finding.advice })
        });
        output::json(&json!({ "ok": failed == 0, "checks": shown.collect::<Vec<_>>() }));
    } else {
        output::line(match failed {
            0 => "\nThis machine can run sessions.".to_owned(),
            1 => "\nOne check failed; sessions cannot run until it is fixed.".to_owned(),
            many => format!("\n{many} checks failed; sessions cannot run until they are fixed."),
        });
    }
    Ok(ExitCode::from(u8::from(failed > 0)))
}

fn note_late(findings: &mut Vec<Finding>, finding: Finding, as_json: bool) {
    if !as_json {
        print(&finding);
    }
    findings.push(finding);
}

fn configuration(loaded: &Loaded) -> Finding {
    const NAME: &str = "configuration";
    match check::check(loaded) {
        problems if problems.is_empty() => {
            let file = loaded.file.as_ref().map(|path| path.display().to_string());
            Finding::ok(NAME, file.unwrap_or_else(|| "defaults and environment".to_owned()))
        }
        problems => {
            Finding::fail(NAME, problems.join("; "), "`vitrine config show` lists every setting and its source.")
        }
    }
}

fn print(finding: &Finding) {
    let color = match finding.grade {
        Grade::Ok => "32",
        Grade::Warn => "33",
        Grade::Fail => "31",
    };
    let word = finding.grade.word();
    let word =
        if std::io::stdout().is_terminal() { format!("\x1b[{color}m{word:4}\x1b[0m") } else { format!("{word:4}") };
    output::line(format_args!("{word}  {:16}  {}", finding.name, finding.found));
    for line in finding.advice.lines() {
        output::line(format_args!("{:24}{line}", ""));
    }
}
