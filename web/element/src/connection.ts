//! The iframe, and the handshake with the page in it: `init` until it is answered, again after every load; the iframe
//! loaded again when nothing answers; the routing id told until it is acknowledged. Messages are taken from our own
//! iframe's window and the login link's origin only, and go to that origin only.

import type { PolicySnapshot, Transport } from './api.ts';
import { BrowserBoxError } from './errors.ts';
import type { LoginLink } from './link.ts';
import { isRecord } from './policy.ts';
import type { Timings } from './timings.ts';

export interface Message {
  readonly type: string;
  readonly requestId: string | null;
  readonly data: unknown;
  /** The whole envelope, for answers that carry an error beside it. */
  readonly envelope: Readonly<Record<string, unknown>>;
}

export type Change =
  | { readonly kind: 'ready'; readonly methods: readonly string[]; readonly policy: PolicySnapshot | null }
  | { readonly kind: 'greeted'; readonly type: string }
  | { readonly kind: 'probing' }
  | { readonly kind: 'lost' }
  | { readonly kind: 'retry'; readonly attempt: number; readonly maxAttempts: number; readonly delayMs: number }
  | { readonly kind: 'over'; readonly error: BrowserBoxError }
  | { readonly kind: 'synced'; readonly mid: string; readonly attempts: number }
  | { readonly kind: 'unsynced'; readonly mid: string; readonly attempts: number };

interface Waiter {
  resolve(): void;
  reject(error: BrowserBoxError): void;
}

export class Connection {
  readonly #iframe: HTMLIFrameElement;
  readonly #timings: Timings;
  readonly #changed: (change: Change) => void;
  readonly #received: (message: Message) => void;
  readonly #waiters = new Set<Waiter>();
  #link: LoginLink | null = null;
  #parameters: Readonly<Record<string, string>> = {};
  #transport: Transport = 'unknown';
  #ready = false;
  /** Why no more is to be expected. */
  #failure: BrowserBoxError | null = null;
  /** A load is to come: what is still said comes from the page before, and nothing is said to it. */
  #loading = false;
  #unanswered = 0;
  #reloads = 0;
  #mid: { attempts: number; done: boolean } = { attempts: 0, done: true };
  #ticking: ReturnType<typeof setInterval> | undefined;
  #reloading: ReturnType<typeof setTimeout> | undefined;

  constructor(
    iframe: HTMLIFrameElement,
    timings: Timings,
    changed: (change: Change) => void,
    received: (message: Message) => void,
  ) {
    this.#iframe = iframe;
    this.#timings = timings;
    this.#changed = changed;
    this.#received = received;
    iframe.addEventListener('load', () => this.#pageLoaded());
  }

  get ready(): boolean {
    return this.#ready;
  }

  get transport(): Transport {
    return this.#transport;
  }

  get link(): LoginLink | null {
    return this.#link;
  }

  /** Loads a login link, in place of what was there. */
  open(link: LoginLink, parameters: Readonly<Record<string, string>> = {}): void {
    this.#forget();
    this.#link = link;
    this.#parameters = parameters;
    this.#failure = null;
    this.#reloads = 0;
    addEventListener('message', this.#hear);
    this.#load({});
  }

  /** Ends it; `error` is what waits is told. */
  close(error: BrowserBoxError): void {
    this.#forget();
    removeEventListener('message', this.#hear);
    this.#link = null;
    this.#iframe.removeAttribute('src');
    this.#fail(error);
  }

  /** Gives up on a page that cannot become ready. It may still answer by itself later. */
  halt(error: BrowserBoxError): void {
    if (!this.#link) return;
    this.#forget();
    this.#fail(error);
  }

  /** Ends the retries, not a connection that is there. */
  stop(error: BrowserBoxError): void {
    if (!this.#ready) this.halt(error);
  }

  /** Resolves when the page has answered. */
  whenReady(timeoutMs: number): Promise<void> {
    if (this.#ready) return Promise.resolve();
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const late = () =>
        waiter.reject(new BrowserBoxError('ERR_NOT_READY', `the page was not ready in ${timeoutMs} ms`));
      const timer = setTimeout(late, timeoutMs);
      const settle = () => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
      };
      const waiter: Waiter = {
        resolve() {
          settle();
          resolve();
        },
        reject(error) {
          settle();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
    });
  }

  /** Fails only for what cannot be copied to another window. */
  post(message: Readonly<Record<string, unknown>>): void {
    if (this.#link) this.#iframe.contentWindow?.postMessage(message, this.#link.origin);
  }

  /** A modern call was answered, or was not, by a page that had said only the old greeting. */
  settleTransport(transport: 'modern' | 'legacy', methods: readonly string[]): void {
    if (!this.#ready) this.#becomeReady(transport, methods, null);
  }

  readonly #hear = (event: MessageEvent<unknown>): void => {
    if (event.source === null || event.source !== this.#iframe.contentWindow) return;
    if (this.#loading || event.origin !== this.#link?.origin || !isRecord(event.data)) return;
    const { type, requestId, data } = event.data;
    if (typeof type !== 'string') return;
    this.#take({
      type,
      requestId: typeof requestId === 'string' ? requestId : null,
      data: data ?? event.data,
      envelope: event.data,
    });
  };

  #take(message: Message): void {
    const { type, data } = message;
    const fields = isRecord(data) ? data : {};
    switch (type) {
      case 'bbx-api-ready': {
        const methods = Array.isArray(fields['methods'])
          ? fields['methods'].filter((name) => typeof name === 'string')
          : [];
        this.#becomeReady('modern', methods, policyOf(fields['policy']));
        break;
      }
      case 'tab-api-ready':
        this.#changed({ kind: 'greeted', type });
        // The modern answer comes in the same turn; whoever sends only this one may still know modern calls.
        if (!this.#ready) this.#changed({ kind: 'probing' });
        break;
      case 'bbx-mid-ack': {
        const mid = this.#link?.mid;
        if (this.#mid.done || !mid || fields['mid'] !== mid) break;
        this.#mid.done = true;
        this.#changed({ kind: 'synced', mid, attempts: this.#mid.attempts });
        break;
      }
      case 'bbx-mid-request':
        this.#sendMid('requested');
        break;
      default:
        this.#received(message);
    }
  }

  #becomeReady(transport: 'modern' | 'legacy', methods: readonly string[], policy: PolicySnapshot | null): void {
    const first = !this.#ready;
    this.#ready = true;
    this.#failure = null;
    this.#transport = transport;
    this.#unanswered = 0;
    this.#reloads = 0;
    clearTimeout(this.#reloading);
    this.#reloading = undefined;
    if (first) this.#changed({ kind: 'ready', methods, policy });
    for (const waiter of [...this.#waiters]) waiter.resolve();
  }

  #load(more: Readonly<Record<string, string>>): void {
    if (!this.#link) return;
    this.#loading = true;
    this.#unanswered = 0;
    this.#mid = { attempts: 0, done: this.#link.mid === null };
    this.#iframe.src = this.#link.href({ ...this.#parameters, ...more });
    this.#tickOn();
  }

  #pageLoaded(): void {
    if (!this.#link) return;
    if (!this.#loading) this.lose();
    this.#loading = false;
    if (this.#failure) return;
    this.#tickOn();
    this.#tell();
  }

  /** The page was taken away or loaded by somebody else: whatever it knew of us is gone. */
  lose(): void {
    if (!this.#link) return;
    this.#loading = true;
    this.#mid = { attempts: 0, done: this.#link.mid === null };
    if (!this.#ready) return;
    this.#ready = false;
    this.#changed({ kind: 'lost' });
  }

  #tickOn(): void {
    clearInterval(this.#ticking);
    this.#ticking = setInterval(() => this.#tick(), this.#timings.tickMs);
  }

  #tick(): void {
    if (this.#ready && this.#mid.done) {
      clearInterval(this.#ticking);
      return;
    }
    if (!this.#ready && this.#reloading === undefined) {
      this.#unanswered += 1;
      if (this.#unanswered > this.#timings.initsBeforeReload) this.#reload();
    }
    // Before it has loaded, the window may have another origin, and the browser would complain of each message.
    if (!this.#loading) this.#tell();
  }

  #tell(): void {
    if (!this.#ready) this.post({ type: 'init' });
    if (this.#mid.done || !this.#link?.mid) return;
    if (this.#mid.attempts < this.#timings.midAttempts) {
      this.#mid.attempts += 1;
      this.#sendMid('handshake');
      return;
    }
    this.#mid.done = true;
    this.#changed({ kind: 'unsynced', mid: this.#link.mid, attempts: this.#mid.attempts });
  }

  #sendMid(reason: string): void {
    if (!this.#link?.mid) return;
    this.post({ type: 'bbx-mid-sync', data: { mid: this.#link.mid, reason, attempt: this.#mid.attempts } });
  }

  #reload(): void {
    const { reloads, reloadStepMs, reloadMostMs } = this.#timings;
    if (this.#reloads >= reloads) {
      const error = new BrowserBoxError('ERR_TRANSPORT', 'disconnected: the page in the iframe does not answer');
      this.halt(error);
      this.#changed({ kind: 'over', error });
      return;
    }
    this.#reloads += 1;
    const delayMs = Math.min(reloadStepMs * this.#reloads, reloadMostMs);
    this.#reloading = setTimeout(() => {
      this.#reloading = undefined;
      this.#load({ bbx_embed_retry: String(this.#reloads) });
    }, delayMs);
    this.#changed({ kind: 'retry', attempt: this.#reloads, maxAttempts: reloads, delayMs });
  }

  /** Back to where nothing is known and no clock runs. */
  #forget(): void {
    clearInterval(this.#ticking);
    clearTimeout(this.#reloading);
    this.#reloading = undefined;
    this.#ready = false;
    this.#transport = 'unknown';
    this.#mid.done = true;
  }

  #fail(error: BrowserBoxError): void {
    this.#failure = error;
    for (const waiter of [...this.#waiters]) waiter.reject(error);
  }
}

export function policyOf(value: unknown): PolicySnapshot | null {
  return isRecord(value) && isRecord(value['apiCapabilities']) ? (value as unknown as PolicySnapshot) : null;
}
