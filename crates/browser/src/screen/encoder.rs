//! JPEG in, H.264 out. The JPEG's own planes are encoded as they are (full range, BT.601, as every JPEG), so that no pixel is
//! converted; the stream says so.

use super::audience::Coded;
use super::quiet;
use bytes::Bytes;
use openh264::encoder::{
    BitRate, ColorPrimaries, Complexity, Encoder as H264, EncoderConfig, FrameRate, FrameType, IntraFramePeriod,
    MatrixCoefficients, QpRange, RateControlMode, TransferCharacteristics, UsageType, VuiConfig,
};
use openh264::formats::YUVSlices;
use openh264::{OpenH264API, Timestamp};
use std::time::Duration;
use thiserror::Error;
use turbojpeg::{Decompressor, Subsamp, YuvImage};

/// What the rate control aims at while a page moves. Films reach it; scrolled text, with the quantizer's lower limit, a third
/// of it. It also decides how fine the first picture is: with half of it text is soft until the page moves.
const TARGET_BITS_PER_SECOND: u32 = 3_000_000;
/// Finer than 24 nobody sees and everybody pays for; coarser than 38 text cannot be read.
const QUANTIZER: QpRange = QpRange::new(24, 38);
/// What the rate control reckons with.
const PICTURES_PER_SECOND: f32 = 30.0;
/// Rows of planes start at multiples of this many bytes, which vector instructions like.
const ROW_ALIGNMENT_BYTES: usize = 32;

/// Why a picture could not be encoded.
#[derive(Debug, Error)]
pub enum EncoderError {
    #[error("the JPEG is not readable: {0}")]
    Jpeg(#[from] turbojpeg::Error),
    #[error("the JPEG's colours have a resolution of {0:?}")]
    Subsampling(Subsamp),
    #[error("the encoder failed: {0}")]
    H264(#[from] openh264::Error),
}

/// An encoder for pictures of any size; another size, or other thrift, starts another stream with a key picture.
pub struct Encoder {
    decompressor: Decompressor,
    planes: Vec<u8>,
    stream: Option<Stream>,
}

/// What an encoder spares. A fast scroll takes four times the bits without the search for it, and half the processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Thrift {
    /// Somebody looks, over a network.
    Bits,
    /// It goes to a file.
    Processor,
}

struct Stream {
    encoder: H264,
    thrift: Thrift,
    width: usize,
    height: usize,
}

impl Encoder {
    pub fn new() -> Result<Encoder, EncoderError> {
        Ok(Encoder { decompressor: Decompressor::new()?, planes: Vec::new(), stream: None })
    }

    /// The next picture of the stream; none when the encoder thought it not worth one.
    pub fn encode(
        &mut self,
        jpeg: &[u8],
        at: Duration,
        key: bool,
        thrift: Thrift,
    ) -> Result<Option<Coded>, EncoderError> {
        let (width, height) = self.decode(jpeg)?;
        let wanted = (width, height, thrift);
        let fits = self.stream.as_ref().is_some_and(|stream| (stream.width, stream.height, stream.thrift) == wanted);
        if !fits {
            self.stream = None;
        }
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => none.insert(Stream::new(width, height, thrift)?),
        };
        if fits && key {
            stream.encoder.force_intra_frame();
        }
        let coded = stream.encode(&self.planes, at);
        if coded.is_err() {
            self.stream = None;
        }
        coded
    }

    /// Fills the planes; returns their size, which is even.
    fn decode(&mut self, jpeg: &[u8]) -> Result<(usize, usize), EncoderError> {
        let header = self.decompressor.read_header(jpeg)?;
        if header.subsamp != Subsamp::Sub2x2 {
            return Err(EncoderError::Subsampling(header.subsamp));
        }
        let (width, height) = (header.width, header.height);
        let bytes = turbojpeg::yuv_pixels_len(width, ROW_ALIGNMENT_BYTES, height, header.subsamp)?;
        self.planes.resize(bytes, 0);
        let pixels = self.planes.as_mut_slice();
        let image = YuvImage { pixels, width, align: ROW_ALIGNMENT_BYTES, height, subsamp: header.subsamp };
        self.decompressor.decompress_to_yuv(jpeg, image)?;
        // Planes of an odd size come with the last row and column repeated.
        Ok((width.next_multiple_of(2), height.next_multiple_of(2)))
    }
}

impl Stream {
    fn new(width: usize, height: usize, thrift: Thrift) -> Result<Stream, EncoderError> {
        let usage = match thrift {
            Thrift::Bits => UsageType::ScreenContentRealTime,
            Thrift::Processor => UsageType::CameraVideoRealTime,
        };
        let colours = VuiConfig::new()
            .full_range(true)
            .color_primaries(ColorPrimaries::Bt709)
            .transfer_characteristics(TransferCharacteristics::Bt709)
            .matrix_coefficients(MatrixCoefficients::Smpte170M);
        let config = EncoderConfig::new()
            .usage_type(usage)
            .rate_control_mode(RateControlMode::Quality)
            .bitrate(BitRate::from_bps(TARGET_BITS_PER_SECOND))
            .max_frame_rate(FrameRate::from_hz(PICTURES_PER_SECOND))
            .qp(QUANTIZER)
            // A picture that was skipped would be missing on a page that is still afterwards.
            .skip_frames(false)
            // Not made for screen content; the first is what screen content is recognised by.
            .scene_change_detect(thrift == Thrift::Bits)
            .adaptive_quantization(false)
            .background_detection(false)
            .intra_frame_period(IntraFramePeriod::auto())
            // Text has little that a longer search finds: bits stay within what `bench/screen` allows.
            .complexity(Complexity::Low)
            .num_threads(1)
            .vui(colours);
        let mut encoder = H264::with_api_config(OpenH264API::from_source(), config)?;
        quiet::silence(&mut encoder);
        Ok(Stream { encoder, thrift, width, height })
    }

    fn encode(&mut self, planes: &[u8], at: Duration) -> Result<Option<Coded>, EncoderError> {
        let Stream { encoder, width, height, .. } = self;
        let row = width.next_multiple_of(ROW_ALIGNMENT_BYTES);
        let half_row = (*width / 2).next_multiple_of(ROW_ALIGNMENT_BYTES);
        let (y, colours) = planes.split_at(row * *height);
        let (u, v) = colours.split_at(half_row * (*height / 2));
        let source = YUVSlices::new((y, u, v), (*width, *height), (row, half_row, half_row));
        let milliseconds = u64::try_from(at.as_millis()).unwrap_or(u64::MAX);
        let stream = encoder.encode_at(&source, Timestamp::from_millis(milliseconds))?;
        let key = match stream.frame_type() {
            FrameType::IDR => true,
            FrameType::Invalid | FrameType::Skip => return Ok(None),
            FrameType::I | FrameType::P | FrameType::IPMixed => false,
        };
        let data = Bytes::from(stream.to_vec());
        let (width, height) = (pixels(*width), pixels(*height));
        Ok(Some(Coded { key, droppable: false, width, height, data }))
    }
}

/// Sizes are capped far below.
pub fn pixels(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
