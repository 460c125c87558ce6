//! The element's events: each under its name and, where there is one, its canonical name; and the feed of records
//! that `observe` and `events` read.

import type { EventConfig, EventRecord, Observer } from './api.ts';
import { BrowserBoxError } from './errors.ts';
import { randomId } from './ids.ts';
import { isRecord } from './policy.ts';

const CANONICAL: Readonly<Record<string, string>> = {
  'api-ready': 'api.ready',
  'tab-created': 'tab.created',
  'tab-closed': 'tab.closed',
  'tab-updated': 'tab.updated',
  'active-tab-changed': 'tab.activated',
  'did-navigate': 'page.navigated',
  'did-start-loading': 'page.load.started',
  'did-stop-loading': 'page.load.stopped',
  'policy-denied': 'policy.denied',
  'usability-changed': 'session.usability.changed',
  disconnected: 'session.disconnected',
};

/** What the page says of itself, by name, and the element passes on. */
export const FORWARDED: ReadonlySet<string> = new Set([
  'tab-created',
  'tab-closed',
  'tab-updated',
  'tab-attached',
  'active-tab-changed',
  'did-start-loading',
  'did-stop-loading',
  'did-navigate',
  'policy-denied',
  'favicon-changed',
  'modal-opened',
  'modal-updated',
  'modal-closed',
  'page-viewport',
  'ui-visible-changed',
]);

/** Records that an iterator holds for a reader who is slow; the oldest go first. */
const HELD_MAX = 1000;

type Handler = (record: EventRecord) => void;

export class Feed {
  readonly #target: EventTarget;
  readonly #sessionId: () => string | null;
  readonly #readers = new Set<(record: EventRecord, name: string) => void>();

  constructor(target: EventTarget, sessionId: () => string | null) {
    this.#target = target;
    this.#sessionId = sessionId;
  }

  emit(name: string, detail: unknown): void {
    const canonical = CANONICAL[name];
    this.#target.dispatchEvent(new CustomEvent(name, { detail }));
    if (canonical) this.#target.dispatchEvent(new CustomEvent(canonical, { detail }));
    if (this.#readers.size === 0) return;
    const record: EventRecord = {
      id: randomId(),
      type: canonical ?? name,
      timestamp: Date.now(),
      sessionId: this.#sessionId(),
      ...tabOf(name, detail),
      detail,
    };
    for (const reader of [...this.#readers]) {
      try {
        reader(record, name);
      } catch (error) {
        // One reader's fault is not the others'.
        reportError(error);
      }
    }
  }

  observe(config: EventConfig = {}): Observer {
    const handlers = new Map<Handler, string | null>();
    const stop = this.#read(config, (record, name) => {
      for (const [handler, type] of [...handlers])
        if (type === null || type === record.type || type === name) handler(record);
    });
    const observer: Observer = {
      id: randomId(),
      config,
      on(first: string | Handler, second?: Handler) {
        const [type, handler] = typeof first === 'string' ? [first, second] : [null, first];
        if (!handler) throw new BrowserBoxError('ERR_INVALID_ARGUMENT', 'on requires a non-empty handler');
        handlers.set(handler, type);
        return () => void handlers.delete(handler);
      },
      off(first: string | Handler, second?: Handler) {
        const handler = typeof first === 'string' ? second : first;
        if (handler) handlers.delete(handler);
      },
      unsubscribe() {
        handlers.clear();
        stop();
      },
    };
    return observer;
  }

  /** Starts to listen at once, not at the first `next`. */
  events(config: EventConfig = {}): AsyncIterableIterator<EventRecord> {
    const held: EventRecord[] = [];
    let waiting: ((result: IteratorResult<EventRecord>) => void)[] = [];
    let over = false;
    const finish = () => {
      over = true;
      stop();
      for (const resolve of waiting) resolve({ done: true, value: undefined });
      waiting = [];
    };
    const stop = this.#read(config, (record) => {
      const first = waiting.shift();
      if (first) return first({ done: false, value: record });
      held.push(record);
      if (held.length > HELD_MAX) held.shift();
    });
    if (config.signal?.aborted) finish();
    else config.signal?.addEventListener('abort', finish, { once: true });
    return {
      next() {
        const record = held.shift();
        if (record) return Promise.resolve({ done: false, value: record });
        if (over) return Promise.resolve({ done: true, value: undefined });
        return new Promise((resolve) => waiting.push(resolve));
      },
      return() {
        held.length = 0;
        finish();
        return Promise.resolve({ done: true, value: undefined });
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  #read({ types, tabId }: EventConfig, reader: (record: EventRecord, name: string) => void): () => void {
    const filtered = (record: EventRecord, name: string) => {
      if (types && !types.includes(record.type) && !types.includes(name)) return;
      if (tabId !== undefined && record.tabId !== tabId) return;
      reader(record, name);
    };
    this.#readers.add(filtered);
    return () => void this.#readers.delete(filtered);
  }
}

/** The tab an event is about: `tabId` where it is named so, else the `id` of an event about tabs. */
function tabOf(name: string, detail: unknown): { tabId: string } | Record<string, never> {
  if (!isRecord(detail)) return {};
  const tab = detail['tabId'] ?? (/tab-/.test(name) ? detail['id'] : undefined);
  return typeof tab === 'string' ? { tabId: tab } : {};
}
