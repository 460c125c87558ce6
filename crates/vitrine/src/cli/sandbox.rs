//! `vitrine sandbox …`: what can be typed.

use super::duration;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub enum Sandbox {
    /// Create a sandbox
    Create(Box<CreateSandbox>),
    /// List sandboxes, newest first
    #[command(visible_alias = "ls")]
    List,
    /// Show a sandbox
    Show {
        /// The sandbox's id
        id: String,
    },
    /// Run a command in a sandbox; exits with its exit code
    ///
    /// Output is shown as it comes. One word is a line for the shell; several are a program and its arguments, without a
    /// shell. A command that a signal ended exits with 128 + its number, one that ran out of time with 124.
    #[command(after_help = "\
Examples:
  vitrine sandbox exec ID 'ls -l | wc -l'
  vitrine sandbox exec ID --timeout 5m -- pip install flask
  vitrine sandbox exec ID -i -- sort < names.txt")]
    Exec(Exec),
    /// Run a piece of code in a sandbox; exits with its exit code
    ///
    /// By default in the language of the sandbox's runtime, or of the file's name: .ts, .js, .mjs, .py, .sh.
    #[command(after_help = "\
Examples:
  vitrine sandbox code ID -e 'console.log(1 + 1)'
  vitrine sandbox code ID report.py
  echo 'print(1 + 1)' | vitrine sandbox code ID - --language python")]
    Code(Code),
    /// Open a terminal in a sandbox, as ssh would; exits with the shell's exit code
    Shell {
        /// The sandbox's id
        id: String,
        /// Join a terminal that is open, by its number; its latest output is shown again
        #[arg(long, value_name = "NUMBER")]
        terminal: Option<u64>,
    },
    /// Copy files and directories into and out of a sandbox
    ///
    /// ID:PATH is in the sandbox, relative to /workspace; `-` is standard input or output. Into a directory that exists,
    /// the copy keeps its name.
    #[command(after_help = "\
Examples:
  vitrine sandbox cp ./src ID:
  vitrine sandbox cp ID:result.csv .
  vitrine sandbox cp ID:/var/log/dpkg.log - | tail")]
    Cp {
        /// What to copy
        #[arg(value_parser = place)]
        source: Place,
        /// Where to
        #[arg(value_parser = place)]
        destination: Place,
    },
    /// Freeze a sandbox: it keeps its memory, uses no processor time and is not counted
    Pause {
        /// The sandbox's id
        id: String,
    },
    /// Let a paused sandbox go on
    Resume {
        /// The sandbox's id
        id: String,
    },
    /// Keep a snapshot of /workspace
    Checkpoint {
        /// The sandbox's id
        id: String,
    },
    /// List a sandbox's checkpoints
    Checkpoints {
        /// The sandbox's id
        id: String,
    },
    /// Put /workspace back to what it was at a checkpoint
    Restore {
        /// The sandbox's id
        id: String,
        /// The checkpoint's id, as listed
        checkpoint: String,
    },
    /// Create sandboxes that begin with another one's /workspace
    Fork {
        /// The other sandbox's id
        id: String,
        /// One of its checkpoints [default: one that is made now]
        #[arg(long, value_name = "ID")]
        checkpoint: Option<String>,
        /// How many
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=50))]
        count: u8,
        /// Wait until they are ready, and print them then
        #[arg(long)]
        wait: bool,
        /// Print their ids only
        #[arg(long, short)]
        quiet: bool,
    },
    /// List the ports on which programs in a sandbox listen, each with a URL to open it
    ///
    /// Treat the URLs like passwords: whoever has one reaches the port until it expires.
    Ports {
        /// The sandbox's id
        id: String,
        /// Make a URL for this port, whether or not something listens on it yet
        #[arg(long)]
        port: Option<u16>,
        /// How long that URL works, for example 10m; at most 24h
        #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "1h", requires = "port")]
        expires: Duration,
    },
    /// End a sandbox
    #[command(visible_alias = "rm")]
    End {
        /// The sandbox's id
        id: String,
    },
}

/// The fields of a new sandbox.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vitrine sandbox create --wait
  vitrine sandbox create --runtime python --env STAGE=test --env API_TOKEN
  vitrine sandbox create --network allowlist --allow pypi.org --allow '*.pythonhosted.org'")]
pub struct CreateSandbox {
    /// Wait until it is ready, and print it then
    #[arg(long)]
    pub wait: bool,
    /// Print its id only
    #[arg(long, short)]
    pub quiet: bool,
    /// What `vitrine sandbox code` runs [default: bun]
    #[arg(long)]
    pub runtime: Option<Runtime>,
    /// A variable that every program in it gets; without a value, that of this process. Repeat for several
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub variables: Vec<String>,
    /// Make a checkpoint at every pause and at the end
    #[arg(long)]
    pub checkpointed: bool,
    /// Begin with the /workspace of this checkpoint
    #[arg(long, value_name = "CHECKPOINT")]
    pub from: Option<String>,
    /// End it after this time, for example 10m; a bare number is milliseconds [default: the plan's longest]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub max_duration: Option<Duration>,
    /// Preferred region, three letters
    #[arg(long)]
    pub region: Option<String>,
    /// Where it may connect to when no rule says otherwise [default: open]
    #[arg(long)]
    pub network: Option<Network>,
    /// A name (example.com, *.example.com) or range (203.0.113.0/24) that it may connect to; repeat for several
    #[arg(long, value_name = "WHERE")]
    pub allow: Vec<String>,
    /// A name or range that it may not connect to, whatever is allowed; repeat for several
    #[arg(long, value_name = "WHERE")]
    pub deny: Vec<String>,
    /// What confines it: native, or a runtime that the server is configured with [default: the server's]
    #[arg(long, value_name = "NAME")]
    pub isolation_driver: Option<String>,
    /// With LibreOffice, for converting documents
    #[arg(long)]
    pub documents: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Runtime {
    Bun,
    Python,
    Base,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Network {
    Open,
    Allowlist,
    None,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Language {
    Typescript,
    Javascript,
    Python,
    Sh,
}

#[derive(Debug, Args)]
pub struct Exec {
    /// The sandbox's id
    pub id: String,
    #[command(flatten)]
    pub how: How,
    /// Give the command what comes on standard input, once that is complete; it has to be text
    #[arg(long, short = 'i')]
    pub stdin: bool,
    /// A line for the shell, or a program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct Code {
    /// The sandbox's id
    pub id: String,
    #[command(flatten)]
    pub how: How,
    /// A file on this machine; `-` is standard input
    #[arg(required_unless_present = "text", conflicts_with = "text")]
    pub file: Option<PathBuf>,
    /// The code itself
    #[arg(short = 'e', long = "eval", value_name = "CODE", allow_hyphen_values = true)]
    pub text: Option<String>,
    /// What it is written in
    #[arg(long)]
    pub language: Option<Language>,
}

/// How a program runs.
#[derive(Debug, Args)]
pub struct How {
    /// A variable for the program; without a value, that of this process. Repeat for several
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    pub variables: Vec<String>,
    /// Where it runs [default: /workspace]
    #[arg(long, value_name = "DIRECTORY")]
    pub cwd: Option<String>,
    /// Kill it, and all that it started, after this time [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub timeout: Option<Duration>,
}

/// One end of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Standard input or output.
    Standard,
    Local(PathBuf),
    Sandbox {
        id: String,
        path: String,
    },
}

/// Letters of an id, as in `vitrine_model`.
const ID_LETTERS: usize = 32;

fn place(text: &str) -> Result<Place, &'static str> {
    if text.is_empty() {
        return Err("expected a path, ID:PATH, or -");
    }
    let is_id = |id: &str| id.len() == ID_LETTERS && id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    Ok(match text.split_once(':') {
        Some((id, path)) if is_id(id) => {
            let path = if path.is_empty() { "." } else { path };
            Place::Sandbox { id: id.to_owned(), path: path.to_owned() }
        }
        _ if text == "-" => Place::Standard,
        _ => Place::Local(PathBuf::from(text)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_and_a_colon_name_a_place_in_a_sandbox() {
        let id = "k82g51hl".repeat(4);
        let inside = |path: &str| Place::Sandbox { id: id.clone(), path: path.to_owned() };
        assert_eq!(place(&format!("{id}:a/b:c")), Ok(inside("a/b:c")));
        assert_eq!(place(&format!("{id}:")), Ok(inside(".")));
        assert_eq!(place("-"), Ok(Place::Standard));
        for local in ["a", "./a:b", "C:thing", &id] {
            assert_eq!(place(local), Ok(Place::Local(local.into())));
        }
        assert!(place("").is_err());
    }
}
