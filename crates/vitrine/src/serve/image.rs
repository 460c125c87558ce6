//! The image that sessions run: found, else built in the background while the API already answers.

use crate::config::Config;
use crate::progress::{Progress, words};
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vitrine_capsule::image::{Definition, Image as Built, ImageError, Settings, Store};
use vitrine_node::Image;

/// How often a missing image is looked for: somebody may build it by hand.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// The image by now, and the work of getting it, which ends when there is one or `stop` is cancelled. With `build`, one that is
/// missing is built.
pub fn provide(
    config: &Config,
    name: &str,
    build: bool,
    stop: CancellationToken,
) -> (watch::Receiver<Image>, impl Future<Output = ()> + use<>) {
    let store = Store::new(&config.image_dir);
    let name = name.to_owned();
    let settings = Settings { apt_sources: config.image.apt_sources.clone() };
    let first = look(&store, &name);
    let (sender, receiver) = watch::channel(first.clone());
    let work = async move {
        if matches!(first, Image::Ready { .. }) {
            return;
        }
        if build {
            let (store, name, sender, stop) = (store.clone(), name.clone(), sender.clone(), stop.clone());
            // Its own thread: it blocks for minutes, and looks at `stop` five times a second.
            let built = tokio::task::spawn_blocking(move || build_now(&store, &name, &settings, &sender, &stop));
            if built.await.is_err() {
                tracing::error!("building the image stopped unexpectedly");
            }
        }
        while !sender.borrow().is_ready() {
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = stop.cancelled() => return,
            }
            if let found @ Image::Ready { .. } = look(&store, &name) {
                tracing::info!(image = name, "the image is there now");
                sender.send_replace(found);
            }
        }
    };
    (receiver, work)
}

fn look(store: &Store, name: &str) -> Image {
    match store.find(name) {
        Ok(Some(image)) => ready(image),
        Ok(None) => missing(format!("the image `{name}` is not built; `vitrine image build {name}` builds it")),
        Err(error) => missing(format!("could not find the image `{name}`: {error}")),
    }
}

fn build_now(store: &Store, name: &str, settings: &Settings, sender: &watch::Sender<Image>, stop: &CancellationToken) {
    let mut progress = Progress::new(name);
    let built = Definition::embedded(name).and_then(|definition| {
        tracing::info!(image = name, "the image is missing and is built now; sessions wait until it is there");
        store.build(&definition, settings, &mut |step| {
            progress.report(&step);
            sender.send_replace(missing(format!("the image `{name}` is being built: {}", words(step.step))));
            if stop.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    progress.finish();
    match built {
        Ok(image) => {
            tracing::info!(image = image.id(), "the image is built");
            sender.send_replace(ready(image));
        }
        Err(ImageError::Cancelled) => {}
        Err(error) => {
            tracing::error!(image = name, "could not build the image: {error}");
            sender.send_replace(missing(format!("could not build the image `{name}`: {error}")));
        }
    }
}

fn ready(image: Built) -> Image {
    Image::Ready { rootfs: image.rootfs, environment: image.environment.into_iter().collect() }
}

fn missing(message: String) -> Image {
    Image::Missing { message }
}

/// Whether sessions can start from it.
trait IsReady {
    fn is_ready(&self) -> bool;
}

impl IsReady for Image {
    fn is_ready(&self) -> bool {
        matches!(self, Image::Ready { .. })
    }
}
