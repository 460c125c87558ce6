//! The latest picture as bytes, for a program that reads pictures as fast as it can use them: one slot, reading empties it.

import type { Screen } from '../screen.ts';

export interface Frame {
  readonly seq: number;
  readonly capturedAt: number;
  readonly frameId: number;
  readonly castSessionId: number;
  readonly sessionId: string;
  readonly targetId: string | null;
  readonly width: number;
  readonly height: number;
  readonly mime: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const MIME = 'image/jpeg';
const QUALITY = 0.8;

export class Frames {
  readonly #screen: Screen;
  #read = 0;

  constructor(screen: Screen) {
    this.#screen = screen;
  }

  /** Null when no picture has come since the last one was read. It is only coded when somebody reads it. */
  async take(of: { castSessionId: number; sessionId: string; targetId: string | null }): Promise<Frame | null> {
    const { canvas, counts } = this.#screen;
    const seq = counts.painted;
    if (seq === this.#read) return null;
    this.#read = seq;
    const { width, height } = canvas;
    const capturedAt = Date.now();
    const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, MIME, QUALITY));
    if (!blob) return null;
    const bytes = new Uint8Array(await blob.arrayBuffer());
    return { seq, capturedAt, frameId: seq, ...of, width, height, mime: blob.type, bytes };
  }
}
