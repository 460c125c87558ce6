//! How far an image build is: a bar on a terminal, a log line a step otherwise.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use vitrine_capsule::image::{self, Step};

/// Without a terminal, a step that takes long says so again after this time.
const SAY_AGAIN: Duration = Duration::from_secs(30);

/// All bars of the process: the log steps aside for them.
pub fn bars() -> &'static MultiProgress {
    static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);
    &BARS
}

/// The progress of one build.
pub struct Progress {
    image: String,
    /// None without a terminal.
    bar: Option<ProgressBar>,
    said: Option<(Step, Instant)>,
}

impl Progress {
    pub fn new(image: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix} {elapsed} [{bar:30}] {wide_msg}");
            let bar = bars().add(ProgressBar::no_length());
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
            bar.set_prefix(format!("image {image}"));
            bar
        });
        Self { image: image.to_owned(), bar, said: None }
    }

    /// One more piece is done.
    pub fn report(&mut self, progress: &image::Progress<'_>) {
        let step = words(progress.step);
        if let Some(bar) = &self.bar {
            bar.set_length(progress.total.max(1));
            bar.set_position(progress.done);
            bar.set_message(format!("{step} {}", progress.item));
        } else if self.said.is_none_or(|(said, at)| said != progress.step || at.elapsed() >= SAY_AGAIN) {
            self.said = Some((progress.step, Instant::now()));
            let (image, done, total) = (&self.image, progress.done, progress.total);
            tracing::info!(image, done, total, "building the image: {step}");
        }
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// What is being done, in words.
pub fn words(step: Step) -> &'static str {
    match step {
        Step::Waiting => "waiting for another builder",
        Step::Programs => "fetching programs",
        Step::Index => "reading package lists",
        Step::Base => "installing the base system",
        Step::Packages => "installing packages",
        Step::Checks => "trying the finished image",
        Step::Saving => "saving",
    }
}
