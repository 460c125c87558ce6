//! The window that frames this page, and the one that it talks with: everything from another window, or from an origin that may
//! not frame this page, is left unheard, and what is said goes to that window's very origin.

import { type Checked, json, object, optional, text } from '../schema.ts';
import { matches } from './origins.ts';

const isEnvelope = object({
  type: text,
  requestId: optional(json),
  data: optional(json),
  tabId: optional(json),
});
export type Envelope = Checked<typeof isEnvelope>;

/** What came before it was known who may speak; it is heard then. */
const WAITING_MAX = 64;

/** More in one second are left unheard, unread: a program does not need them, and the person needs the page. */
const HEARD_MAX = 2_000;
const SECOND_MS = 1_000;

export class Parent {
  readonly #hear: (message: Envelope) => void;
  #patterns: readonly string[] | null = null;
  /** Of whom we have heard, and to whom everything goes. */
  #origin: string | null = null;
  #waiting: MessageEvent[] = [];
  #heard = 0;
  #since = 0;

  constructor(hear: (message: Envelope) => void) {
    this.#hear = hear;
    // A page that nobody frames is its own parent, and takes no orders.
    if (window.parent !== window) addEventListener('message', (event) => this.#receive(event));
  }

  framedBy(patterns: readonly string[]): void {
    this.#patterns = patterns;
    for (const event of this.#waiting.splice(0)) this.#receive(event);
  }

  /** Nothing is said to a window that has not spoken. */
  tell(message: object): void {
    if (this.#origin !== null) window.parent.postMessage(message, this.#origin);
  }

  /** Says something that anybody may hear, also to a window that has not spoken. */
  hail(message: object): void {
    if (window.parent === window) return;
    const { ancestorOrigins } = location as { ancestorOrigins?: DOMStringList };
    window.parent.postMessage(message, this.#origin ?? ancestorOrigins?.[0] ?? '*');
  }

  #isFlood(): boolean {
    const now = performance.now();
    if (now - this.#since > SECOND_MS) [this.#since, this.#heard] = [now, 0];
    this.#heard += 1;
    return this.#heard > HEARD_MAX;
  }

  #receive(event: MessageEvent): void {
    if (event.source !== window.parent || this.#isFlood() || !isEnvelope(event.data)) return;
    if (!this.#patterns) {
      if (this.#waiting.length < WAITING_MAX) this.#waiting.push(event);
      return;
    }
    if (event.origin !== this.#origin) {
      // An opaque origin is `null`, which is nobody's name, so that nothing could be said to it alone.
      if (!this.#patterns.some((pattern) => matches(pattern, event.origin))) return;
      this.#origin = event.origin;
    }
    this.#hear(event.data);
  }
}
