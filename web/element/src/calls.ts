//! Calls of the page: each with an id, a time within which it is answered, and a second and third try for what failed
//! for a passing reason. All tries of one call carry the same `callId`, by which the page does its effect once.

import type { Connection, Message } from './connection.ts';
import { BrowserBoxError, errorFrom, errorOf } from './errors.ts';
import { randomId } from './ids.ts';
import { isRecord } from './policy.ts';
import { sleep, type Timings } from './timings.ts';

/** Calls on their way at once; the rest wait in order. */
const UNDER_WAY_MAX = 16;
/** Calls that wait their turn. */
const WAITING_MAX = 1000;
/** How much longer than the time a caller gives the page itself we wait for what it says. */
const GRACE_MS = 2000;

export interface CallOptions {
  readonly timeoutMs: number;
  readonly tries?: number;
}

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: BrowserBoxError) => void;
}

export class Calls {
  readonly #connection: Connection;
  readonly #timings: Timings;
  readonly #pending = new Map<string, Pending>();
  readonly #queue: (() => void)[] = [];
  #underWay = 0;
  /** Grows when the session is another one: what was called before is not tried again. */
  #generation = 0;

  constructor(connection: Connection, timings: Timings) {
    this.#connection = connection;
    this.#timings = timings;
  }

  /** How many are under way. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Does `work` when fewer than the most are under way. */
  async inTurn<T>(work: () => Promise<T>): Promise<T> {
    await this.#turn();
    try {
      return await work();
    } finally {
      this.#underWay -= 1;
      this.#queue.shift()?.();
    }
  }

  /** A modern call, as often as it takes. */
  async call(method: string, args: readonly unknown[], { timeoutMs: usual, tries }: CallOptions): Promise<unknown> {
    const message = { type: 'bbx-api-call', data: { method, args: [...args], callId: randomId() } };
    const timeoutMs = timeoutOf(args, usual);
    const generation = this.#generation;
    const most = tries ?? this.#timings.tries;
    for (let attempt = 1; ; attempt += 1) {
      if (generation !== this.#generation) throw new BrowserBoxError('ERR_TRANSPORT', 'disconnected');
      await this.#connection.whenReady(timeoutMs);
      try {
        return await this.ask(message, timeoutMs);
      } catch (thrown) {
        const error = errorFrom(thrown);
        if (!error.retriable || attempt >= most || generation !== this.#generation) throw error;
      }
      await sleep(this.#timings.retryStepMs * attempt);
    }
  }

  /** A request of another kind, made once, also before the page is ready. */
  ask(message: Readonly<Record<string, unknown>>, timeoutMs: number): Promise<unknown> {
    const requestId = randomId();
    return new Promise((resolve, reject) => {
      const settle = () => {
        clearTimeout(timer);
        this.#pending.delete(requestId);
      };
      const pending: Pending = {
        resolve(value) {
          settle();
          resolve(value);
        },
        reject(error) {
          settle();
          reject(error);
        },
      };
      const what = isRecord(message['data']) ? message['data']['method'] : undefined;
      const words = `${String(what ?? message['type'])} timed out after ${timeoutMs} ms`;
      const timer = setTimeout(() => pending.reject(new BrowserBoxError('ERR_TIMEOUT', words)), timeoutMs);
      this.#pending.set(requestId, pending);
      try {
        this.#connection.post({ ...message, requestId });
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        pending.reject(new BrowserBoxError('ERR_INVALID_ARGUMENT', `could not send the arguments: ${reason}`));
      }
    });
  }

  /** Whether it was an answer to a call of ours. */
  receive({ requestId, envelope }: Message): boolean {
    const pending = requestId === null ? undefined : this.#pending.get(requestId);
    if (!pending) return requestId !== null;
    if (envelope['error'] === undefined || envelope['error'] === null) pending.resolve(envelope['data']);
    else pending.reject(errorOf(envelope));
    return true;
  }

  /** What is under way fails; it is tried again when the page is back. */
  interrupt(error: BrowserBoxError): void {
    for (const pending of [...this.#pending.values()]) pending.reject(error);
  }

  /** What was called fails for good. */
  abandon(error: BrowserBoxError): void {
    this.#generation += 1;
    this.interrupt(error);
  }

  #turn(): Promise<void> {
    if (this.#underWay < UNDER_WAY_MAX) {
      this.#underWay += 1;
      return Promise.resolve();
    }
    if (this.#queue.length >= WAITING_MAX)
      return Promise.reject(
        new BrowserBoxError('ERR_CONFLICT', `${WAITING_MAX} calls wait already`, { retriable: true }),
      );
    return new Promise((resolve) => {
      this.#queue.push(() => {
        this.#underWay += 1;
        resolve();
      });
    });
  }
}

/** A call that was given a longer time of its own gets it. */
function timeoutOf(args: readonly unknown[], usual: number): number {
  const options = args.at(-1);
  const own = isRecord(options) ? options['timeoutMs'] : undefined;
  return typeof own === 'number' && Number.isFinite(own) ? Math.max(usual, own + GRACE_MS) : usual;
}
