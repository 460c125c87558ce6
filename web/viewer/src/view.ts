//! The view without anything around it: a picture that follows a session, and a person's hands in it. Needs a host and four
//! elements; what it does not do itself (tabs, dialogs, files…) it passes on.

import { isEmpty, pasteOf, pasteOfClipboard, take, type Clip } from './clipboard.ts';
import { Connection, type Link } from './connection.ts';
import { unreachable } from './dom.ts';
import type { Host } from './host.ts';
import { Keyboard } from './keyboard.ts';
import { Pointer } from './pointer.ts';
import { type Coding, type Sent, type ServerMessage, VERSION, type ViewerMessage } from './protocol.ts';
import { codingsHere, Screen } from './screen.ts';
import { Surface } from './surface.ts';

export interface ViewParts {
  /** Holds the canvas and what lies over it; has the picture's size. */
  readonly surface: HTMLElement;
  readonly canvas: HTMLCanvasElement;
  /** The hidden text field, over the canvas. */
  readonly field: HTMLTextAreaElement;
  /** What the picture may fill. */
  readonly stage: HTMLElement;
}

export interface ViewEvents {
  link(link: Link): void;
  message(message: ServerMessage): void;
  /** The picture or the page's viewport has another size. */
  sized(): void;
  /** Something was copied that the browser only gives after a click. */
  copied(clip: Clip): void;
  /** A sentence for the person. */
  say(sentence: string): void;
  claim(event: KeyboardEvent): boolean;
  leave(): void;
}

/** A page that copies without having been asked to must not reach this machine's clipboard. */
const COPY_ANSWER_MS = 5_000;

export class View {
  readonly surface: Surface;
  readonly screen: Screen;
  readonly connection: Connection;
  /** What this browser can show, the preferred one first. */
  supported: readonly Coding[] = [];
  readonly #parts: ViewParts;
  readonly #events: ViewEvents;
  readonly #host: Host;
  #codings: readonly Coding[] = [];
  /** Whether the server lets this viewer act, and whether the page around it does. */
  #granted = false;
  #handsOff = false;
  #copyAskedAt = -Infinity;

  constructor(host: Host, parts: ViewParts, events: ViewEvents) {
    this.#host = host;
    this.#parts = parts;
    this.#events = events;
    this.surface = new Surface(parts.surface);
    this.screen = new Screen(parts.canvas, {
      acknowledge: (sequence) => this.connection.send({ type: 'ack', sequence }),
      refresh: () => this.connection.send({ type: 'refresh' }),
      fallBack: () => this.useCoding('jpeg'),
      resized: () => this.#pictureResized(),
    });
    this.connection = new Connection(host, {
      link: (link) => this.#link(link),
      message: (message) => this.#message(message),
      picture: (picture) => this.screen.show(picture),
    });
    const act = (message: ViewerMessage) => this.act(message);
    const sendIfClear = (message: ViewerMessage) => this.control && this.connection.sendIfClear(message);
    new Pointer(this.surface, { send: act, sendIfClear, pressed: () => parts.field.focus({ preventScroll: true }) });
    new Keyboard(parts.field, {
      send: act,
      copy: (cut) => this.copy(cut),
      paste: (data) => void this.#paste(pasteOf(data)),
      claim: (event) => events.claim(event),
      leave: () => events.leave(),
    });
    document.addEventListener('visibilitychange', () => this.#tellVisibility());
  }

  async start(): Promise<void> {
    this.supported = this.#codings = await codingsHere();
    this.connection.connect();
  }

  /** Whether this viewer may act. */
  get control(): boolean {
    return this.#granted && !this.#handsOff;
  }

  /** Takes a person's hands off the session, or gives them back as far as the server lets. */
  handsOff(off: boolean): void {
    this.#handsOff = off;
    this.#controlled();
  }

  /** Sends what needs control; does nothing for a viewer who may only look. */
  act(message: ViewerMessage): void {
    if (this.control) this.connection.send(message);
  }

  /** From now on, also after a reconnection. */
  useCoding(coding: Coding): void {
    this.#codings = coding === 'jpeg' ? ['jpeg'] : this.supported;
    this.screen.restart();
    this.connection.send({ type: 'coding', coding });
  }

  #link(link: Link): void {
    switch (link.state) {
      case 'open': {
        this.screen.restart();
        const { clientWidth: width, clientHeight: height } = this.#parts.stage;
        const start = { version: VERSION, codings: [...this.#codings], width, height, scale: devicePixelRatio };
        this.connection.send({ type: 'start', ...start });
        if (document.hidden) this.#tellVisibility();
        break;
      }
      case 'connecting':
        this.#granted = false;
        if (link.again) this.#host.notify({ type: 'reconnecting' });
        break;
      case 'ended':
        this.#granted = false;
        this.#host.notify({ type: 'ended', ending: link.ending });
        break;
      default:
        unreachable(link);
    }
    this.#events.link(link);
  }

  #message(message: ServerMessage): void {
    switch (message.type) {
      case 'hello':
        if (message.version !== VERSION) {
          this.connection.close({ sentence: 'The server speaks another version. Reload this page.', again: false });
          return;
        }
        this.#granted = message.mode === 'control';
        this.#controlled();
        this.#host.notify({ type: 'connected', mode: message.mode });
        break;
      case 'viewport':
        this.surface.width = message.width;
        this.surface.height = message.height;
        this.#events.sized();
        break;
      case 'cursor':
        // An unknown word leaves the cursor as it was.
        this.#parts.surface.style.cursor = message.cursor.startsWith('url') ? 'default' : message.cursor;
        break;
      case 'focus': {
        const { editable, x = 0, y = 0, width = 1, height = 1 } = message;
        // A soft keyboard opens only where the page can take text.
        this.#parts.field.inputMode = editable ? 'text' : 'none';
        this.surface.place(this.#parts.field, { x, y, width, height });
        break;
      }
      case 'clipboard':
        void this.#copied(message);
        break;
    }
    this.#host.notify({ type: 'heard', message });
    this.#events.message(message);
  }

  /** Who may only look has no keyboard to be caught in. */
  #controlled(): void {
    this.#parts.field.disabled = !this.control;
  }

  /** Until the server has said how large the viewport is, the picture's own pixels are taken for it. */
  #pictureResized(): void {
    const { canvas } = this.#parts;
    if (this.surface.width === 0) [this.surface.width, this.surface.height] = [canvas.width, canvas.height];
    this.#events.sized();
  }

  /** Copies what is selected in the page to this machine. */
  copy(cut: boolean): void {
    this.#copyAskedAt = performance.now();
    this.act({ type: 'copy', cut });
  }

  /** Pastes this machine's clipboard without a paste by keyboard. */
  paste(): Promise<void> {
    return this.#paste(pasteOfClipboard());
  }

  async #copied(clip: Clip): Promise<void> {
    if (isEmpty(clip)) return;
    const asked = performance.now() - this.#copyAskedAt < COPY_ANSWER_MS;
    try {
      if (!asked) throw new Error('nobody asked for it');
      await take(clip);
    } catch {
      this.#events.copied(clip);
    }
  }

  async #paste(content: Promise<Sent<'paste'> | null>): Promise<void> {
    try {
      const paste = await content;
      if (paste) this.act(paste);
    } catch (error) {
      this.#events.say(error instanceof Error ? error.message : 'This cannot be pasted.');
    }
  }

  #tellVisibility(): void {
    this.connection.send({ type: 'visible', visible: !document.hidden });
  }
}
