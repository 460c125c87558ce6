//! Recordings, judged by programs that others wrote: ffprobe and ffmpeg, and Chromium's own player.

use crate::host::LocalHost;
use crate::{first_page, start};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use openh264::OpenH264API;
use openh264::encoder::{Encoder, EncoderConfig, SpsPpsStrategy, UsageType};
use openh264::formats::{RgbSliceU8, YUVBuffer};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use vitrine_browser::Build;
use vitrine_browser::recording::{Recorder, RecordingError, finalise};
use vitrine_browser::screen::{Coding, Picture};
use vitrine_cdp::Session;
use vitrine_cdp::protocol::runtime::Evaluate;

/// 2026-11-22, noon.
const NOON_MS: i64 = 1_795_348_800_000;
const FRAME_MS: u64 = 40;

/// A screen of one colour with a bar that moves.
struct Film {
    encoder: Encoder,
    size: (u16, u16),
    sequence: u32,
}

impl Film {
    fn new(size: (u16, u16)) -> Film {
        let config = EncoderConfig::new()
            .usage_type(UsageType::ScreenContentRealTime)
            .sps_pps_strategy(SpsPpsStrategy::ConstantId);
        let encoder = Encoder::with_api_config(OpenH264API::from_source(), config).expect("an encoder");
        Film { encoder, size, sequence: 0 }
    }

    fn picture(&mut self, colour: [u8; 3]) -> Picture {
        let (width, height) = (usize::from(self.size.0), usize::from(self.size.1));
        let mut pixels = colour.repeat(width * height);
        let bar = self.sequence as usize * 7 % height;
        pixels[bar * width * 3..(bar + 1) * width * 3].fill(0);
        let planes = YUVBuffer::from_rgb8_source(RgbSliceU8::new(&pixels, (width, height)));
        let data = self.encoder.encode(&planes).expect("encoded").to_vec();
        self.sequence += 1;
        let key = data.windows(5).any(|bytes| bytes[..4] == [0, 0, 0, 1] && bytes[4] & 0x1f == 5);
        Picture {
            coding: Coding::H264,
            key,
            droppable: false,
            sequence: self.sequence,
            at: Duration::ZERO,
            width: self.size.0,
            height: self.size.1,
            data: data.into(),
        }
    }
}

/// Records motion of one colour, as the driver would: a fragment when one is due.
fn motion(recorder: &mut Recorder, film: &mut Film, colour: [u8; 3], from_ms: u64, to_ms: u64) {
    for at in (from_ms..to_ms).step_by(FRAME_MS as usize).map(Duration::from_millis) {
        recorder.push(&film.picture(colour), at).expect("pushed");
        if recorder.is_due() {
            recorder.flush(at).expect("flushed");
        }
    }
}

/// A recorder of a still page beats once a second.
fn stillness(recorder: &mut Recorder, from_ms: u64, to_ms: u64) {
    for at in (from_ms..=to_ms).step_by(1000) {
        recorder.flush(Duration::from_millis(at)).expect("flushed");
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(path).output().expect("these tests need ffmpeg");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program}: {said}");
    assert_eq!(said, "", "{program} complains");
    String::from_utf8(output.stdout).expect("UTF-8")
}

pub fn probe(path: &Path) -> Value {
    let arguments = ["-v", "error", "-of", "json", "-show_format", "-show_streams", "-show_chapters", "-count_frames"];
    serde_json::from_str(&run("ffprobe", &arguments, path)).expect("JSON")
}

pub fn duration_s(probed: &Value) -> f64 {
    probed["format"]["duration"].as_str().expect("a duration").parse().expect("a number")
}

/// Decodes every picture; ffmpeg says nothing when all is well.
pub fn decode(path: &Path) {
    let path = path.to_str().expect("UTF-8");
    let output = Command::new("ffmpeg").args(["-v", "error", "-i", path, "-f", "null", "-"]).output().expect("ffmpeg");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn a_finished_recording_has_true_times_chapters_and_its_header_first() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("session.mp4");
    let mut recorder = Recorder::open(&path, NOON_MS).expect("open");
    assert_eq!(recorder.started(), NOON_MS);
    let mut film = Film::new((640, 360));
    recorder.chapter("Start <b>page</b>", Duration::from_millis(30));
    motion(&mut recorder, &mut film, [200, 30, 30], 100, 2000);
    let before = std::fs::metadata(&path).expect("a file").len();
    stillness(&mut recorder, 2000, 9000);
    let after = std::fs::metadata(&path).expect("a file").len();
    assert!(after - before < 200_000, "the pictures that waited, nothing for seven still seconds: {}", after - before);
    recorder.chapter("日本語", Duration::from_millis(9000));
    motion(&mut recorder, &mut film, [30, 30, 200], 9000, 10_000);
    let probed = probe(&path);
    assert!((duration_s(&probed) - 10.0).abs() < 1.1, "while it runs: {probed}");
    let finished = recorder.finish(Duration::from_millis(12_000)).expect("finished");
    assert_eq!((finished.width, finished.height), (640, 360));
    assert_eq!(finished.duration, Duration::from_secs(12));
    let probed = probe(&path);
    assert_eq!(duration_s(&probed), 12.0);
    assert_eq!(probed["streams"][0]["codec_tag_string"], json!("avc1"));
    assert_eq!(probed["streams"][0]["nb_read_frames"], json!("73"));
    let titles: Vec<_> = probed["chapters"].as_array().expect("chapters").iter().collect();
    assert_eq!(titles.len(), 2, "{titles:?}");
    assert_eq!(titles[0]["tags"]["title"], json!("Start <b>page</b>"));
    assert_eq!((&titles[0]["start"], &titles[0]["end"]), (&json!(0), &json!(9000)));
    assert_eq!(titles[1]["tags"]["title"], json!("日本語"));
    decode(&path);
    let bytes = std::fs::read(&path).expect("a file");
    assert_eq!(finished.bytes, bytes.len() as u64);
    let place = |kind: &[u8]| bytes.windows(4).position(|window| window == kind).expect("a box");
    assert!(place(b"moov") < place(b"mdat"));
    assert_eq!(finalise(&path).expect("again"), finished);
    assert!(matches!(Recorder::open(&path, NOON_MS), Err(RecordingError::Finished)));
    assert_eq!(std::fs::read_dir(folder.path()).expect("list").count(), 1);
}

/// As the writer's death in the middle of its last write leaves it: the head of what it wrote is not there yet.
fn torn(whole: &[u8]) -> Vec<u8> {
    let last = whole.windows(4).rposition(|window| window == b"moof").expect("a fragment") - 4;
    let mut torn = whole[..whole.len() - 100].to_vec();
    torn[last..last + 8].fill(0);
    torn
}

#[test]
fn a_recording_cut_at_any_byte_plays_and_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("whole.mp4");
    let mut recorder = Recorder::open(&path, NOON_MS).expect("open");
    let mut film = Film::new((320, 200));
    recorder.chapter("one", Duration::ZERO);
    motion(&mut recorder, &mut film, [200, 30, 30], 0, 5000);
    drop(recorder);
    let whole = std::fs::read(&path).expect("a file");
    let cut = folder.path().join("cut.mp4");
    for part in 0..=12 {
        let length = whole.len() * part / 12;
        std::fs::write(&cut, &whole[..length]).expect("written");
        let mut again = Recorder::open(&cut, NOON_MS + 1).expect("open");
        let kept = std::fs::metadata(&cut).expect("a file").len();
        assert!(kept <= length as u64);
        assert_eq!(again.started(), if kept == 0 { NOON_MS + 1 } else { NOON_MS });
        let mut film = Film::new((320, 200));
        motion(&mut again, &mut film, [30, 200, 30], 8000, 9000);
        again.flush(Duration::from_secs(9)).expect("flushed");
        drop(again);
        let seconds = duration_s(&probe(&cut));
        assert_eq!(seconds, 9.0, "cut at {length}");
        let finished = finalise(&cut).expect("finished");
        assert_eq!(finished.duration, Duration::from_secs(9), "cut at {length}");
        decode(&cut);
    }
    std::fs::write(&cut, torn(&whole)).expect("written");
    assert_eq!(duration_s(&probe(&cut)), 3.12, "what the fragments before hold");
    decode(&cut);
}

#[test]
fn nothing_recorded_is_said_and_a_first_picture_must_be_a_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("session.mp4");
    let mut recorder = Recorder::open(&path, NOON_MS).expect("open");
    let mut film = Film::new((320, 200));
    let _key = film.picture([1, 2, 3]);
    recorder.push(&film.picture([1, 2, 3]), Duration::ZERO).expect("left out");
    assert!(matches!(recorder.finish(Duration::from_secs(1)), Err(RecordingError::Empty)));
    std::fs::write(&path, b"\0\0\0\x10junkjunkjunk").expect("written");
    assert!(matches!(Recorder::open(&path, NOON_MS), Err(RecordingError::File(_))));
}

async fn evaluate(page: &Session, expression: String) -> Value {
    let command =
        Evaluate { expression, return_by_value: Some(true), await_promise: Some(true), ..Evaluate::default() };
    page.call(command).await.expect("a value").result.value.expect("by value")
}

/// Opens the file in a player; gives duration, then for each time the size and the colour of what is shown there.
async fn play(page: &Session, path: &Path, times_s: &[f64]) -> Value {
    let film = STANDARD.encode(std::fs::read(path).expect("a film"));
    evaluate(
        page,
        format!(
            "(async () => {{
                const video = document.body.appendChild(document.createElement('video'));
                const on = name => new Promise((done, fail) => {{
                    video.addEventListener(name, done, {{ once: true }});
                    video.addEventListener('error', () => fail(new Error(video.error.message)), {{ once: true }});
                }});
                video.muted = true;
                const film = Uint8Array.from(atob('{film}'), letter => letter.charCodeAt(0));
                video.src = URL.createObjectURL(new Blob([film], {{ type: 'video/mp4' }}));
                await on('loadeddata');
                const seen = [];
                for (const time of {times_s:?}) {{
                    video.currentTime = time;
                    await on('seeked');
                    const canvas = document.createElement('canvas');
                    canvas.width = canvas.height = 16;
                    const context = canvas.getContext('2d');
                    context.drawImage(video, 0, 0, 16, 16);
                    const pixel = [...context.getImageData(8, 8, 1, 1).data].slice(0, 3);
                    seen.push([video.videoWidth, video.videoHeight, pixel.indexOf(Math.max(...pixel))]);
                }}
                video.currentTime = 0;
                video.playbackRate = 4;
                await video.play();
                await on('ended');
                const quality = video.getVideoPlaybackQuality();
                return {{ duration: video.duration, seen, broken: quality.corruptedVideoFrames }};
            }})().catch(error => String(error))"
        ),
    )
    .await
}

#[tokio::test]
async fn chromium_plays_a_running_a_torn_and_a_finished_recording_also_across_sizes() {
    let host = LocalHost::new();
    let folder = host.folder("films");
    let path = Path::new(&folder).join("session.mp4");
    let mut recorder = Recorder::open(&path, NOON_MS).expect("open");
    motion(&mut recorder, &mut Film::new((640, 360)), [200, 30, 30], 0, 3000);
    recorder.chapter("another size", Duration::from_secs(3));
    motion(&mut recorder, &mut Film::new((320, 400)), [30, 200, 30], 3000, 4000);
    motion(&mut recorder, &mut Film::new((640, 360)), [30, 30, 200], 4000, 6000);
    recorder.flush(Duration::from_secs(6)).expect("flushed");
    let whole = std::fs::read(&path).expect("a file");
    let broken = path.with_file_name("torn.mp4");
    std::fs::write(&broken, torn(&whole)).expect("written");
    let running = path.with_file_name("running.mp4");
    std::fs::write(&running, &whole).expect("written");
    recorder.finish(Duration::from_secs(6)).expect("finished");

    let browser = start(&host, &host.launch(Build::Chromium)).await;
    let page = first_page(&browser.connection().await.expect("connection")).await;
    for film in [&path, &running] {
        let played = play(&page, film, &[1.0, 3.5, 5.0, 0.5]).await;
        assert_eq!(
            played,
            json!({"duration": 6, "broken": 0, "seen": [[640, 360, 0], [320, 400, 1], [640, 360, 2], [640, 360, 0]]}),
            "{film:?}"
        );
    }
    let played = play(&page, &broken, &[1.0, 3.5]).await;
    assert_eq!(played["seen"], json!([[640, 360, 0], [320, 400, 1]]), "{played}");
    browser.close(Duration::from_secs(5)).await;
}
