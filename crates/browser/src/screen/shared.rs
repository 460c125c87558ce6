//! The audience behind a lock, and the two who are woken when it changes: the encoder's thread and the task that listens to
//! Chromium.

use super::audience::{Audience, Frame, Work};
use super::encoder::{Encoder, Thrift};
use super::{Coding, Geometry, Picture, Wants};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Notify, watch};

#[derive(Default)]
pub struct Shared {
    audience: Mutex<Audience>,
    work: Condvar,
    /// Something changed for the task that listens to Chromium.
    pub turn: Notify,
    pub geometry: watch::Sender<Option<Geometry>>,
}

impl Shared {
    /// The audience is consistent between any two statements, so a panic elsewhere does not spoil it.
    pub fn audience(&self) -> MutexGuard<'_, Audience> {
        self.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn join(self: &Arc<Self>, wants: Wants) -> (u64, Arc<Notify>) {
        let mut audience = self.audience();
        let joined = audience.join(wants, Instant::now());
        let needs_encoder = wants.coding == Coding::H264 && !audience.encoding && !audience.ended;
        audience.encoding |= needs_encoder;
        drop(audience);
        if needs_encoder {
            self.start_encoder();
        }
        self.wake();
        joined
    }

    pub fn leave(&self, seat: u64) {
        self.audience().leave(seat);
        self.wake();
    }

    pub fn take(&self, seat: u64) -> Option<Option<Picture>> {
        let taken = self.audience().take(seat, Instant::now());
        // An empty queue is what lets the next frame come.
        if matches!(taken, Some(None)) {
            self.wake();
        }
        taken
    }

    pub fn request_key(&self) {
        self.audience().request_key(Instant::now());
        self.work.notify_one();
    }

    /// Whether it shows anything new.
    pub fn paint(&self, frame: Frame) -> bool {
        let new = self.audience().paint(frame);
        self.work.notify_one();
        new
    }

    pub fn show(&self, geometry: Geometry) {
        self.geometry.send_if_modified(|shown| shown.replace(geometry) != Some(geometry));
    }

    pub fn end(&self) {
        let mut audience = self.audience();
        audience.ended = true;
        audience.clear();
        audience.seats.iter().for_each(|seat| seat.arrived.notify_one());
        drop(audience);
        self.wake();
    }

    fn wake(&self) {
        self.work.notify_one();
        self.turn.notify_one();
    }

    /// Encoding takes milliseconds of a core: a thread of its own, so that it delays nothing on the runtime. It ends when
    /// nobody takes H.264.
    fn start_encoder(self: &Arc<Self>) {
        let guard = EncoderGuard(self.clone());
        let started = std::thread::Builder::new().name("screen".into()).spawn(move || encode(&guard.0));
        if let Err(error) = started {
            tracing::warn!(%error, "no thread for an encoder");
        }
    }

    fn next_work(&self) -> Option<(Frame, bool, Thrift)> {
        let mut audience = self.audience();
        loop {
            let now = Instant::now();
            match audience.next_work(now) {
                Work::Encode { frame, key, thrift } => return Some((frame, key, thrift)),
                Work::Leave => {
                    audience.encoder_left();
                    return None;
                }
                Work::Wait(None) => audience = self.work.wait(audience).unwrap_or_else(PoisonError::into_inner),
                Work::Wait(Some(due)) => {
                    let limit = due.saturating_duration_since(now);
                    audience = self.work.wait_timeout(audience, limit).unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }
}

/// Ends the screen when its encoder cannot start or panics; those who wait would wait for ever.
struct EncoderGuard(Arc<Shared>);

impl Drop for EncoderGuard {
    fn drop(&mut self) {
        if self.0.audience().encoding && std::thread::panicking() {
            self.0.end();
        }
    }
}

fn encode(shared: &Shared) {
    let mut encoder = match Encoder::new() {
        Ok(encoder) => encoder,
        Err(error) => {
            tracing::warn!(%error, "no encoder");
            return shared.end();
        }
    };
    while let Some((frame, key, thrift)) = shared.next_work() {
        // The frame was taken: the next one may come while this one is encoded.
        shared.turn.notify_one();
        match encoder.encode(&frame.jpeg, frame.at, key, thrift) {
            Ok(Some(coded)) => shared.audience().deliver(coded, frame.at, Instant::now()),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "a picture was left out"),
        }
    }
}
