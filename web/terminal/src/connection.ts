//! The WebSocket to one terminal. Connects again by itself where the output was left, with growing pauses, and knows when it
//! is over for good. Keys that are typed while there is no connection are lost, and not typed later by surprise.

import { type Host, Refused } from './host.ts';

export type State =
  | { readonly is: 'connecting'; readonly again: boolean; readonly paused?: boolean }
  | { readonly is: 'open' }
  /** `another`: whether asking for a new terminal makes sense. */
  | { readonly is: 'over'; readonly sentence: string; readonly another: boolean };

export interface Screen {
  readonly cols: number;
  readonly rows: number;
  /** Shows output; calls back when it is on the screen. `old`: it was there before, so questions in it were answered. */
  show(output: Uint8Array, old: boolean, shown: () => void): void;
  /** Some output was lost, or another terminal begins. */
  clear(): void;
  state(state: State): void;
}

type Message =
  | { readonly type: 'offset'; readonly offset: number; readonly live?: number }
  | { readonly type: 'exit'; readonly code: number | null };

const PAUSE_FIRST_MS = 250;
const PAUSE_MAX_MS = 10_000;
/** Output that the screen has not shown yet. Beyond it the connection is dropped until the screen has caught up: a browser
 *  cannot ask a WebSocket to wait. */
const UNSHOWN_BYTES_MAX = 4 * 1024 * 1024;
const NORMAL = 1000;
/** What a sandbox is that may be ready again. */
const PAUSED: readonly string[] = ['pausing', 'paused', 'queued', 'assigning'];
const OVER: State = { is: 'over', sentence: 'This sandbox is over.', another: false };
const EXPIRED: State = {
  is: 'over',
  sentence: 'This link has expired or was taken back. Ask for a new one.',
  another: false,
};

export class Connection {
  readonly #host: Host;
  readonly #screen: Screen;
  #socket: WebSocket | null = null;
  /** Position in the terminal's output: what was received, and up to where it is remembered output. */
  #position = 0;
  #live = 0;
  #unshown = 0;
  /** The screen has to catch up first. */
  #behind = false;
  #attempts = 0;
  /** Counts the calls of `connect`: only the latest goes on. */
  #turn = 0;
  #pause: ReturnType<typeof setTimeout> | undefined;
  /** Told by the terminal itself, before the socket closes. */
  #exited = false;

  constructor(host: Host, screen: Screen) {
    this.#host = host;
    this.#screen = screen;
    addEventListener('online', () => this.#pause !== undefined && void this.connect());
  }

  /** Opens another terminal. */
  another(): void {
    this.#host.forget();
    void this.connect();
  }

  /** Connects now, dropping what is there. */
  async connect(): Promise<void> {
    this.#drop();
    if (!this.#host.hasToken) {
      const sentence = 'This link has no access token. Open the whole link that you were given.';
      this.#screen.state({ is: 'over', sentence, another: false });
      return;
    }
    this.#screen.state({ is: 'connecting', again: this.#attempts > 0 });
    this.#turn += 1;
    const turn = this.#turn;
    try {
      const ticket = await this.#host.ticket(this.#screen.cols, this.#screen.rows, this.#position);
      if (turn !== this.#turn) return;
      if (!ticket.again) {
        this.#position = 0;
        this.#exited = false;
        this.#screen.clear();
      }
      this.#open(this.#host.socketAddress(ticket, this.#position));
    } catch (error) {
      if (turn !== this.#turn) return;
      const { status, sandbox } = error instanceof Refused ? error : { status: 0, sandbox: null };
      if (status === 409 && PAUSED.includes(sandbox ?? '')) this.#later(true);
      else if (status === 401 || status === 403) this.#screen.state(EXPIRED);
      else if (status === 404 || status === 409 || status === 410) this.#screen.state(OVER);
      else this.#later();
    }
  }

  type(keys: Uint8Array<ArrayBuffer>): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(keys);
  }

  resize(cols: number, rows: number): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify({ type: 'resize', cols, rows }));
  }

  #open(address: string): void {
    const socket = new WebSocket(address);
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => {
      this.#attempts = 0;
      this.#screen.state({ is: 'open' });
      this.resize(this.#screen.cols, this.#screen.rows);
    };
    socket.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      if (typeof data === 'string') this.#told(data);
      else this.#output(new Uint8Array(data));
    };
    socket.onclose = ({ code, reason }) => this.#closed(code, reason);
    this.#socket = socket;
  }

  #output(output: Uint8Array): void {
    // A piece may end what is remembered and begin what is new.
    const old = Math.min(Math.max(this.#live - this.#position, 0), output.length);
    this.#position += output.length;
    if (old > 0) this.#show(output.subarray(0, old), true);
    if (old < output.length) this.#show(output.subarray(old), false);
    if (this.#unshown > UNSHOWN_BYTES_MAX) {
      this.#drop();
      this.#behind = true;
    }
  }

  #show(output: Uint8Array, old: boolean): void {
    this.#unshown += output.length;
    this.#screen.show(output, old, () => {
      this.#unshown -= output.length;
      if (this.#unshown === 0 && this.#behind) void this.connect();
    });
  }

  #told(text: string): void {
    const message = decode(text);
    switch (message?.type) {
      case 'offset':
        if (message.offset > this.#position && this.#position > 0) this.#screen.clear();
        this.#position = message.offset;
        this.#live = message.live ?? message.offset;
        break;
      case 'exit': {
        this.#exited = true;
        this.#host.forget();
        const how = message.code === null ? '' : ` with ${message.code}`;
        this.#screen.state({ is: 'over', sentence: `The program ended${how}.`, another: true });
        break;
      }
      case undefined:
        // A newer server says more; this page can do without it.
        break;
    }
  }

  #closed(code: number, reason: string): void {
    this.#drop();
    if (this.#exited) return;
    if (code === NORMAL) this.#screen.state({ is: 'over', sentence: 'The terminal was closed.', another: true });
    else if (code === 4401) this.#screen.state(EXPIRED);
    else if (code >= 4000) {
      this.#screen.state({ is: 'over', sentence: `The terminal was closed: ${reason || code}.`, another: false });
    } else this.#later();
  }

  #later(paused = false): void {
    this.#drop();
    this.#attempts += 1;
    this.#screen.state({ is: 'connecting', again: true, paused });
    const pause = Math.min(PAUSE_FIRST_MS * 2 ** (this.#attempts - 1), PAUSE_MAX_MS);
    // Spread, so that all pages of a restarted server do not come back in one instant.
    this.#pause = setTimeout(() => void this.connect(), pause * (0.5 + Math.random() / 2));
  }

  #drop(): void {
    clearTimeout(this.#pause);
    this.#pause = undefined;
    this.#behind = false;
    if (this.#socket) {
      this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
      this.#socket = null;
    }
  }
}

function decode(text: string): Message | null {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof message !== 'object' || message === null || !('type' in message)) return null;
  const field = (name: string): unknown => (message as Record<string, unknown>)[name];
  if (message.type === 'offset' && typeof field('offset') === 'number') return message as Message;
  if (message.type === 'exit') {
    const code = field('code');
    return { type: 'exit', code: typeof code === 'number' ? code : null };
  }
  return null;
}
