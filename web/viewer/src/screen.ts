//! Pictures onto a canvas: H.264 by WebCodecs, JPEG by the browser's own decoder. Every picture is acknowledged once, when it
//! is shown or given up. When H.264 does not work here, asks for JPEG by itself.

import type { Coding, Picture } from './protocol.ts';

export interface Figures {
  readonly framesPerSecond: number;
  readonly kilobitsPerSecond: number;
}

/** Pictures since the page was loaded. */
export interface Counts {
  received: number;
  painted: number;
}

export interface ScreenEvents {
  acknowledge(sequence: number): void;
  /** Asks for a picture that needs none before it. */
  refresh(): void;
  /** H.264 does not work here after all. */
  fallBack(): void;
  /** The picture has another size than the one before. */
  resized(width: number, height: number): void;
}

/** As many errors in one connection are taken for a broken decoder, not for a broken picture. */
const ERRORS_MAX = 3;
/** Some decoders of hardware keep pictures until more have come, which the server does not send before these are shown. */
const STALLED_MS = 1_000;
const SECOND_MS = 1_000;
/** For asking whether H.264 works at all: constrained baseline, level 3.1, which is 1280x720. */
const COMMON_CODEC = 'avc1.42e01f';

/** The codings that this browser shows, the preferred one first. */
export async function codingsHere(): Promise<Coding[]> {
  if (typeof VideoDecoder === 'undefined') return ['jpeg'];
  try {
    const { supported } = await VideoDecoder.isConfigSupported({ codec: COMMON_CODEC, optimizeForLatency: true });
    return supported ? ['h264', 'jpeg'] : ['jpeg'];
  } catch {
    return ['jpeg'];
  }
}

export class Screen {
  readonly canvas: HTMLCanvasElement;
  /** Of the last picture that came. */
  coding: Coding | null = null;
  readonly counts: Counts = { received: 0, painted: 0 };
  readonly #context: CanvasRenderingContext2D;
  readonly #events: ScreenEvents;
  #decoder: VideoDecoder | null = null;
  #codec = '';
  #needsKey = true;
  #errors = 0;
  /** Sent to the decoder and not come out yet, oldest first; the server lets no more than a few be under way. */
  #underWay: Picture[] = [];
  #stalled: ReturnType<typeof setTimeout> | undefined;
  /** Of JPEG only the newest is worth decoding. */
  #nextJpeg: Picture | null = null;
  #decodingJpeg = false;
  #shown: number[] = [];
  #received: { at: number; bytes: number }[] = [];

  constructor(canvas: HTMLCanvasElement, events: ScreenEvents) {
    const context = canvas.getContext('2d', { alpha: false });
    if (!context) throw new Error('could not paint: no canvas here');
    this.canvas = canvas;
    this.#context = context;
    this.#events = events;
  }

  /** Pictures that came and were never shown. */
  get dropped(): number {
    const waiting = this.#underWay.length + (this.#nextJpeg ? 1 : 0) + (this.#decodingJpeg ? 1 : 0);
    return Math.max(this.counts.received - this.counts.painted - waiting, 0);
  }

  /** A new connection begins: nothing that was under way counts; the last picture stays. */
  restart(): void {
    this.#underWay = [];
    this.#nextJpeg = null;
    this.#errors = 0;
    this.#closeDecoder();
  }

  show(picture: Picture): void {
    this.#received.push({ at: performance.now(), bytes: picture.data.byteLength });
    this.coding = picture.coding;
    this.counts.received += 1;
    switch (picture.coding) {
      case 'h264':
        this.#decode(picture);
        break;
      case 'jpeg':
        if (this.#nextJpeg) this.#events.acknowledge(this.#nextJpeg.sequence);
        this.#nextJpeg = picture;
        if (!this.#decodingJpeg) void this.#decodeJpegs();
        break;
    }
  }

  /** Of the last second. */
  figures(): Figures {
    const since = performance.now() - SECOND_MS;
    this.#shown = this.#shown.filter((at) => at > since);
    this.#received = this.#received.filter(({ at }) => at > since);
    const bytes = this.#received.reduce((sum, one) => sum + one.bytes, 0);
    return { framesPerSecond: this.#shown.length, kilobitsPerSecond: (bytes * 8) / 1000 };
  }

  #decode(picture: Picture): void {
    if (picture.key) this.#configure(picture.data);
    if (!this.#decoder || (this.#needsKey && !picture.key)) {
      this.#events.acknowledge(picture.sequence);
      return;
    }
    this.#needsKey = false;
    this.#underWay.push(picture);
    if (this.#underWay.length === 1) this.#expect();
    const { key, atMicroseconds: timestamp, data } = picture;
    try {
      this.#decoder.decode(new EncodedVideoChunk({ type: key ? 'key' : 'delta', timestamp, data }));
    } catch {
      this.#failed();
    }
  }

  /** The stream tells its profile and level itself, in the parameter set before each key picture. */
  #configure(data: Uint8Array): void {
    const codec = codecOf(data) ?? this.#codec;
    if (this.#decoder && codec === this.#codec) return;
    this.#closeDecoder();
    const decoder = new VideoDecoder({
      output: (frame) => (decoder === this.#decoder ? this.#paintFrame(frame) : frame.close()),
      error: () => decoder === this.#decoder && this.#failed(),
    });
    this.#decoder = decoder;
    this.#codec = codec;
    try {
      const hardwareAcceleration = this.#errors > 0 ? 'prefer-software' : 'no-preference';
      decoder.configure({ codec, optimizeForLatency: true, hardwareAcceleration });
    } catch {
      this.#failed();
    }
  }

  #paintFrame(frame: VideoFrame): void {
    this.#paint(frame, frame.displayWidth, frame.displayHeight);
    const { timestamp } = frame;
    frame.close();
    const last = this.#underWay.findIndex((picture) => picture.atMicroseconds === timestamp);
    for (const picture of this.#underWay.splice(0, last + 1)) this.#events.acknowledge(picture.sequence);
    this.#expect();
  }

  /** Watches that what is under way comes out. */
  #expect(): void {
    clearTimeout(this.#stalled);
    if (this.#underWay.length > 0) this.#stalled = setTimeout(() => this.#failed(), STALLED_MS);
  }

  #failed(): void {
    this.#closeDecoder();
    for (const picture of this.#underWay.splice(0)) this.#events.acknowledge(picture.sequence);
    this.#errors += 1;
    if (this.#errors < ERRORS_MAX) this.#events.refresh();
    else if (this.#errors === ERRORS_MAX) this.#events.fallBack();
  }

  #closeDecoder(): void {
    if (this.#decoder && this.#decoder.state !== 'closed') this.#decoder.close();
    this.#decoder = null;
    this.#needsKey = true;
    clearTimeout(this.#stalled);
  }

  async #decodeJpegs(): Promise<void> {
    this.#decodingJpeg = true;
    for (let picture = this.#nextJpeg; picture; picture = this.#nextJpeg) {
      this.#nextJpeg = null;
      try {
        const image = await createImageBitmap(new Blob([picture.data], { type: 'image/jpeg' }));
        this.#paint(image, image.width, image.height);
        image.close();
      } catch {
        // One broken picture: the next one replaces it.
      }
      this.#events.acknowledge(picture.sequence);
    }
    this.#decodingJpeg = false;
  }

  #paint(source: CanvasImageSource, width: number, height: number): void {
    const { canvas } = this;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
      this.#events.resized(width, height);
    }
    this.#context.drawImage(source, 0, 0);
    this.#shown.push(performance.now());
    this.counts.painted += 1;
  }
}

/** `avc1.PPCCLL` of the first sequence parameter set in an Annex B stream. */
export function codecOf(data: Uint8Array): string | null {
  const SEQUENCE_PARAMETERS = 7;
  for (let at = 0; at + 6 < data.length; at += 1) {
    if (data[at] !== 0 || data[at + 1] !== 0 || data[at + 2] !== 1) continue;
    if (((data[at + 3] ?? 0) & 0x1f) !== SEQUENCE_PARAMETERS) continue;
    const profile = [...data.subarray(at + 4, at + 7)];
    return `avc1.${profile.map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
  }
  return null;
}
