//! Runs the builder's programs: output line by line, stoppable, and never left behind.
//!
//! Every program runs in a process namespace of its own whose first process dies with this one, so a builder that is
//! killed leaves no process and no mount, and what it was writing can be swept by the next one.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};

use super::ImageError;

/// Lines of output that an error quotes.
const LAST_LINES: usize = 20;

/// Bytes of one line that are looked at; the rest of a longer one is dropped.
const LINE_BYTES_MAX: usize = 4096;

/// How often the caller is asked whether to go on while a program says nothing.
const SILENCE: Duration = Duration::from_millis(200);

/// A program to run and what to say when it fails.
pub(super) struct Run {
    /// Name of the program and the Debian package it comes in.
    pub program: &'static str,
    pub package: &'static str,
    /// What it is for, as a phrase that "failed" can follow.
    pub doing: String,
    /// What the operator can do about a failure.
    pub advice: &'static str,
}

/// What a running program reports: a line of output, or that it is still at work.
pub(super) enum Said<'a> {
    Line(&'a str),
    Nothing,
}

impl Run {
    /// The program inside its namespaces; add arguments and hand it to [`Run::finish`].
    pub fn command(&self) -> Result<Command, ImageError> {
        require(self.program, self.package)?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.arg(self.program).stdin(Stdio::null());
        Ok(command)
    }

    /// Runs it to its end. `said` is called from this thread and may stop it.
    pub fn finish(
        &self,
        command: &mut Command,
        said: &mut dyn FnMut(Said<'_>) -> ControlFlow<()>,
    ) -> Result<(), ImageError> {
        let failed = |status: String, output: String| ImageError::Program {
            doing: self.doing.clone(),
            program: self.program.to_owned(),
            status,
            output,
            advice: self.advice,
        };
        let broken = |error: io::Error| failed(error.to_string(), String::new());
        let (output, writer) = io::pipe().map_err(broken)?;
        let errors = writer.try_clone().map_err(broken)?;
        let mut child = Killed(command.stdout(writer).stderr(errors).spawn().map_err(broken)?);
        // The command still holds the writing ends; without this the output would never end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let last = follow(output, said).map_err(broken)?;
        let Some(last) = last else { return Err(ImageError::Cancelled) };
        let status = child.0.wait().map_err(broken)?;
        if status.success() {
            return Ok(());
        }
        Err(failed(status.to_string(), Vec::from(last).join("\n")))
    }
}

/// A child that does not outlive its handle.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail only for a child that has already been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Hands every line to `said` and returns the last ones, or nothing when told to stop.
fn follow(
    mut output: io::PipeReader,
    said: &mut dyn FnMut(Said<'_>) -> ControlFlow<()>,
) -> io::Result<Option<VecDeque<String>>> {
    let mut last = VecDeque::with_capacity(LAST_LINES);
    let mut line = Vec::new();
    let mut buffer = [0; 8192];
    let silence = rustix::event::Timespec { tv_sec: 0, tv_nsec: SILENCE.subsec_nanos().into() };
    loop {
        let ready = poll(&mut [PollFd::new(&output, PollFlags::IN)], Some(&silence));
        match ready {
            Ok(0) if said(Said::Nothing).is_break() => return Ok(None),
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let count = output.read(&mut buffer)?;
        if count == 0 {
            return Ok(Some(last));
        }
        for &byte in &buffer[..count] {
            if byte != b'\n' && byte != b'\r' {
                if line.len() < LINE_BYTES_MAX {
                    line.push(byte);
                }
                continue;
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if text.is_empty() {
                continue;
            }
            if said(Said::Line(&text)).is_break() {
                return Ok(None);
            }
            if last.len() == LAST_LINES {
                last.pop_front();
            }
            last.push_back(text);
        }
    }
}

/// Says which package brings a program that is not there.
pub(super) fn require(program: &'static str, package: &'static str) -> Result<(), ImageError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    if found { Ok(()) } else { Err(ImageError::Missing { program, package }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell() -> Run {
        Run { program: "sh", package: "dash", doing: "a test".to_owned(), advice: "look closer" }
    }

    #[test]
    fn a_failure_quotes_the_last_words_and_a_missing_program_its_package() {
        let run = shell();
        let mut command = run.command().unwrap();
        command.args(["-c", "for n in $(seq 100); do echo line $n; done; echo broken >&2; exit 3"]);
        let error = run.finish(&mut command, &mut |_| ControlFlow::Continue(())).unwrap_err().to_string();
        assert!(error.contains("a test failed: `sh` ended with exit status: 3; look closer"), "{error}");
        assert!(error.ends_with("line 100\nbroken") && !error.contains("line 80\n"), "{error}");

        let absent = Run { program: "vitrine-absent", package: "none", ..shell() };
        assert!(matches!(absent.command(), Err(ImageError::Missing { .. })));
    }

    #[test]
    fn stopping_ends_the_whole_tree_while_it_is_silent() {
        let run = shell();
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let mut command = run.command().unwrap();
        command.args(["-c", &format!("(sleep 1; touch {}) & sleep 600", mark.display())]);
        let stopped = run.finish(&mut command, &mut |said| match said {
            Said::Nothing => ControlFlow::Break(()),
            Said::Line(_) => ControlFlow::Continue(()),
        });
        assert!(matches!(stopped, Err(ImageError::Cancelled)));
        std::thread::sleep(Duration::from_millis(1500));
        assert!(!mark.exists());
    }
}
