//! `vitrine image …`

use crate::cli::Image as Command;
use crate::config::Config;
use crate::output;
use crate::progress::Progress;
use anyhow::Context as _;
use serde_json::json;
use std::ops::ControlFlow;
use vitrine_capsule::image::{Definition, Image, Settings, Store};

pub fn run(command: Command, config: &Config, as_json: bool) -> anyhow::Result<()> {
    let store = Store::new(&config.image_dir);
    match command {
        Command::Build { name, file, .. } => {
            let definition = match file {
                Some(path) => Definition::read(&path),
                None => Definition::embedded(&name),
            };
            let definition = definition.context("could not read the definition")?;
            let settings = Settings { apt_sources: config.image.apt_sources.clone() };
            let mut progress = Progress::new(&definition.name);
            let built = store.build(&definition, &settings, &mut |step| {
                progress.report(&step);
                ControlFlow::Continue(())
            });
            progress.finish();
            let image = built.context("could not build the image")?;
            if as_json {
                output::json(&described(&image));
            } else {
                output::line(format_args!("{} is built: {}", image.id(), output::bytes(image.size_bytes)));
            }
        }
        Command::List { .. } => {
            let images = store.list().context("could not list the images")?;
            if as_json {
                output::json(&json!({ "data": images.iter().map(described).collect::<Vec<_>>() }));
                return Ok(());
            }
            let rows = images.iter().map(|image| {
                let current = store.find(&image.name).ok().flatten().is_some_and(|found| found.id() == image.id());
                let state = if current { "current" } else { "old" };
                vec![image.id(), image.name.clone(), state.to_owned(), output::bytes(image.size_bytes), built(image)]
            });
            let empty = "no images; `vitrine image build` makes one";
            output::table(&["id", "name", "state", "size", "built"], rows.collect(), empty);
        }
        Command::Rm { id, .. } => {
            store.remove(&id).context("could not remove the image")?;
            if as_json {
                output::json(&json!({ "ok": true }));
            } else {
                output::line(format_args!("removed {id}"));
            }
        }
    }
    Ok(())
}

fn described(image: &Image) -> serde_json::Value {
    json!({ "id": image.id(), "name": image.name, "rootfs": image.rootfs, "sizeBytes": image.size_bytes,
            "built": built(image), "versions": image.versions })
}

fn built(image: &Image) -> String {
    let since = image.built.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    output::time(i64::try_from(since.as_millis()).unwrap_or(0))
}
