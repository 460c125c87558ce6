//! The binary: command line, configuration, wiring. What is decided here is only what to start and what to print.

mod cli;
mod client;
mod command;
mod config;
mod doctor;
mod logging;
mod output;
mod progress;
mod serve;

use clap::Parser as _;
use cli::{Cli, Command, Configuration, Image};
use client::{Client, ClientError};
use config::load::{Sources, load};
use config::setting::{self, Flags};
use std::process::ExitCode;
use vitrine_capsule::image::ImageError;

fn main() -> ExitCode {
    // The command line's requests and the server's use it; it fails only when there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            exit_code(&error)
        }
    }
}

/// A configuration that cannot be read or makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("the configuration is wrong:\n{0}")]
struct WrongConfiguration(String);

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { global, command } = cli;
    let mut flags = command_flags(&command);
    if let (Some(directory), Some(setting)) = (&global.data_dir, setting::find(setting::GLOBAL)) {
        flags.0.push((setting, directory.clone()));
    }
    let loaded = load(&Sources::of_process(global.config.clone(), flags));
    let loaded = loaded.map_err(|error| WrongConfiguration(format!("{error:#}")))?;
    match command {
        Command::Config(command) => return Ok(command::config::run(&command, &loaded, global.json)),
        Command::Image(command) => {
            logging::start(&loaded.config.log)?;
            command::image::run(command, &loaded.config, global.json)?;
        }
        Command::Keys(command) => {
            wait(command::keys::run(&global, &loaded, command))?;
        }
        Command::Browser(command) => {
            wait(async { command::browser::run(&Client::new(&global, &loaded)?, command, global.json).await })?;
        }
        Command::Sandbox(command) => {
            return wait(async { command::sandbox::run(&Client::new(&global, &loaded)?, command, global.json).await });
        }
        Command::Artifacts(command) => {
            wait(async { command::artifacts::run(&Client::new(&global, &loaded)?, command, global.json).await })?;
        }
        Command::Profiles(command) => {
            wait(async { command::profiles::run(&Client::new(&global, &loaded)?, command, global.json).await })?;
        }
        Command::Webhooks(command) => {
            wait(async { command::webhooks::run(&Client::new(&global, &loaded)?, command, global.json).await })?;
        }
        Command::Minutes(command) => {
            wait(async { command::minutes::run(&Client::operator(&global, &loaded)?, command, global.json).await })?;
        }
        Command::Serve(_) => serve::run(&loaded)?,
        Command::Doctor(options) => {
            return wait(async {
                match options.attack.attack {
                    true => doctor::attack::run(&loaded, &options.attack, global.json).await,
                    false => doctor::run(&loaded, global.json).await,
                }
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn command_flags(command: &Command) -> Flags {
    match command {
        Command::Serve(settings)
        | Command::Doctor(cli::Doctor { settings, .. })
        | Command::Config(Configuration::Check(settings) | Configuration::Show(settings))
        | Command::Image(Image::Build { settings, .. } | Image::List { settings } | Image::Rm { settings, .. }) => {
            settings.flags.clone()
        }
        Command::Keys(_)
        | Command::Browser(_)
        | Command::Sandbox(_)
        | Command::Artifacts(_)
        | Command::Profiles(_)
        | Command::Webhooks(_)
        | Command::Minutes(_) => Flags::default(),
    }
}

/// Runs a client command to its end, on this thread.
fn wait<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// The table of exit codes in the help.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    let refused = |status: u16, code: &str| match (status, code) {
        (404, _) => 3,
        (409 | 429 | 503, _) => 6,
        (401 | 403, _) => 4,
        _ => 1,
    };
    ExitCode::from(match error.downcast_ref::<ClientError>() {
        Some(ClientError::Unreachable { .. }) => 5,
        Some(ClientError::NoKey) => 4,
        Some(ClientError::Refused { status, code, .. }) => refused(status.as_u16(), code),
        Some(ClientError::NotOurs { .. }) => 1,
        None if error.is::<WrongConfiguration>() => 2,
        None if matches!(error.downcast_ref(), Some(ImageError::Unknown { .. })) => 3,
        None => 1,
    })
}
