//! `vitrine config …`

use crate::cli::Configuration;
use crate::config::{Loaded, check, setting};
use crate::output;
use serde_json::json;
use std::process::ExitCode;

/// Exit code 2: the configuration is wrong.
const WRONG: u8 = 2;

pub fn run(command: &Configuration, loaded: &Loaded, as_json: bool) -> ExitCode {
    match command {
        Configuration::Check(_) => checked(loaded, as_json),
        Configuration::Show(_) => {
            show(loaded, as_json);
            ExitCode::SUCCESS
        }
    }
}

fn checked(loaded: &Loaded, as_json: bool) -> ExitCode {
    let problems = check::check(loaded);
    if as_json {
        output::json(&json!({ "ok": problems.is_empty(), "file": loaded.file, "problems": problems }));
    } else if problems.is_empty() {
        match &loaded.file {
            Some(path) => output::line(format_args!("{} and the environment are right", path.display())),
            None => output::line("no vitrine.toml was found; the environment is right"),
        }
    } else {
        problems.iter().for_each(output::line);
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(WRONG) }
}

fn show(loaded: &Loaded, as_json: bool) {
    let settings = setting::all().iter();
    if as_json {
        let shown = settings.map(|setting| {
            json!({ "key": setting.key, "value": loaded.shown(setting), "source": loaded.source(&setting.key),
                    "variable": setting.variable, "flag": format!("--{}", setting.flag), "help": setting.help })
        });
        return output::json(&json!({ "file": loaded.file, "settings": shown.collect::<Vec<_>>() }));
    }
    let rows =
        settings.map(|setting| vec![setting.key.to_string(), loaded.shown(setting), loaded.source(&setting.key)]);
    output::table(&["setting", "value", "from"], rows.collect(), "");
}
