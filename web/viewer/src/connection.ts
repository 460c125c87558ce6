//! The one WebSocket to the session. Connects again by itself with growing pauses, notices a silent socket, and knows when it
//! is over for good. Sends nothing while closed: what a person did then is not done later by surprise.

import { endingOfClose, endingOfStatus, type Ending } from './endings.ts';
import type { Host } from './host.ts';
import { decodeMessage, decodePicture, type Picture, type ServerMessage, type ViewerMessage } from './protocol.ts';

export type Link =
  | { readonly state: 'connecting'; readonly again: boolean }
  | { readonly state: 'open' }
  | { readonly state: 'ended'; readonly ending: Ending };

export interface Receiver {
  link(link: Link): void;
  message(message: ServerMessage): void;
  picture(picture: Picture): void;
}

const PAUSE_FIRST_MS = 250;
const PAUSE_MAX_MS = 10_000;
/** A handshake that nobody answers is given up long before the browser would. */
const HANDSHAKE_MAX_MS = 15_000;
const PING_EVERY_MS = 2_000;
/** Without an answer for this long, the socket is dead though nobody said so. */
const SILENCE_MAX_MS = 10_000;
/** Movements are left out while this much waits to be sent: an old movement is worth nothing. */
const UNSENT_BYTES_MAX = 64 * 1024;

export class Connection {
  /** Of the last ping; null before the first answer. */
  roundTripMs: number | null = null;
  readonly #host: Host;
  readonly #receiver: Receiver;
  #socket: WebSocket | null = null;
  #attempts = 0;
  #pause: ReturnType<typeof setTimeout> | undefined;
  #patience: ReturnType<typeof setTimeout> | undefined;
  #pings: ReturnType<typeof setInterval> | undefined;
  #unansweredSince: number | null = null;
  /** Counts what was begun: what was waited for on behalf of an earlier attempt counts no more. */
  #begun = 0;

  constructor(host: Host, receiver: Receiver) {
    this.#host = host;
    this.#receiver = receiver;
    addEventListener('online', () => this.#pause !== undefined && this.connect());
  }

  /** Connects now, dropping what is there. */
  connect(): void {
    this.#drop();
    this.#receiver.link({ state: 'connecting', again: this.#attempts > 0 });
    this.#patience = setTimeout(() => this.#later(), HANDSHAKE_MAX_MS);
    const attempt = this.#begun;
    this.#host.socketAddress().then(
      (address) => {
        if (attempt !== this.#begun) return;
        if (typeof address === 'string') this.#dial(address);
        else this.close(address);
      },
      () => attempt === this.#begun && this.#later(),
    );
  }

  #dial(address: string): void {
    const socket = new WebSocket(address);
    socket.binaryType = 'arraybuffer';
    let opened = false;
    socket.onopen = () => {
      opened = true;
      clearTimeout(this.#patience);
      this.#pings = setInterval(() => this.#ping(), PING_EVERY_MS);
      this.#receiver.link({ state: 'open' });
      this.#ping();
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => this.#receive(data);
    socket.onclose = ({ code, reason }) => void this.#closed(opened, code, reason);
    this.#socket = socket;
  }

  send(message: ViewerMessage): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** For movements: left out while the way is blocked. */
  sendIfClear(message: ViewerMessage): void {
    if (this.#socket && this.#socket.bufferedAmount < UNSENT_BYTES_MAX) this.send(message);
  }

  /** Ends for good, with a sentence for the person. */
  close(ending: Ending): void {
    this.#drop();
    this.#end(ending);
  }

  #receive(data: string | ArrayBuffer): void {
    if (typeof data !== 'string') {
      const picture = decodePicture(data);
      if (picture) this.#receiver.picture(picture);
      return;
    }
    const message = decodeMessage(data);
    if (!message) return;
    // The handshake alone proves little: a proxy may accept and then hang up at once.
    if (message.type === 'hello') this.#attempts = 0;
    if (message.type === 'pong') {
      this.#unansweredSince = null;
      this.roundTripMs = performance.now() - message.at;
    }
    this.#receiver.message(message);
  }

  #ping(): void {
    const now = performance.now();
    if (this.#unansweredSince !== null && now - this.#unansweredSince > SILENCE_MAX_MS) {
      this.#later();
      return;
    }
    this.#unansweredSince ??= now;
    this.send({ type: 'ping', at: now });
  }

  async #closed(opened: boolean, code: number, reason: string): Promise<void> {
    this.#drop();
    const attempt = this.#begun;
    const ending = endingOfClose(code, reason) ?? (opened ? null : await this.#refusal());
    // Somebody may have asked to connect while the refusal was looked up.
    if (attempt !== this.#begun) return;
    if (ending) this.#end(ending);
    else this.#later();
  }

  /** A browser hides why a handshake was refused; a plain request to the same session tells. */
  async #refusal(): Promise<Ending | null> {
    try {
      return endingOfStatus((await this.#host.files('')).status);
    } catch {
      return null;
    }
  }

  #later(): void {
    this.#drop();
    this.#attempts += 1;
    this.#receiver.link({ state: 'connecting', again: true });
    const pause = Math.min(PAUSE_FIRST_MS * 2 ** (this.#attempts - 1), PAUSE_MAX_MS);
    // Spread, so that all viewers of a restarted server do not come back in one instant.
    this.#pause = setTimeout(() => this.connect(), pause * (0.5 + Math.random() / 2));
  }

  #end(ending: Ending): void {
    this.#attempts = 0;
    this.#receiver.link({ state: 'ended', ending });
  }

  #drop(): void {
    this.#begun += 1;
    clearTimeout(this.#pause);
    clearTimeout(this.#patience);
    clearInterval(this.#pings);
    this.#pause = undefined;
    this.#unansweredSince = null;
    this.roundTripMs = null;
    if (this.#socket) {
      this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
      this.#socket = null;
    }
  }
}
