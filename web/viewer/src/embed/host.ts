//! The host of a page in a frame. It gets in by the one-time token of its address, or after a reload by the session's cookie, and
//! from then on holds a short-lived token in memory alone, which it renews in time. Needs no storage and no cookies.

import { endingOfReason, endingOfStatus, type Ending } from '../endings.ts';
import type { Host, HostEvent } from '../host.ts';
import { list, number, object, optional, text } from '../schema.ts';

const isGrant = object({ token: text, expiresAt: number, embeddingOrigins: list(text) });
const isRefusal = object({ endReason: optional(text) });

/** A token is used up to this long before its end: a request takes time. */
const SPARE_MS = 10_000;
/** A token is renewed when this part of its life is over. */
const RENEWED_AT = 0.6;
/** Whatever a server says of lifetimes, it is not asked more often. */
const RENEWAL_PAUSE_LEAST_MS = 10_000;
const RENEWAL_PAUSE_MAX_MS = 10 * 60_000;
const ANSWER_MAX_MS = 10_000;

const DENIED: Ending = {
  sentence: 'Access to this session has run out. Load it again to go on.',
  again: false,
  reason: 'access_denied',
};

interface Token {
  readonly text: string;
  /** By this machine's clock. */
  readonly goodUntil: number;
}

export interface EmbedHostEvents {
  notify(event: HostEvent): void;
  /** Who may frame this page: origins and patterns. */
  framedBy(patterns: readonly string[]): void;
}

export class EmbedHost implements Host {
  readonly session: string;
  readonly #base: string;
  readonly #events: EmbedHostEvents;
  #entry: string | null;
  #token: Token | null = null;
  #trade: Promise<Token | Ending> | null = null;
  #renewal: ReturnType<typeof setTimeout> | undefined;

  /** `entry`: what `…/s/SESSION/#entry=` held. */
  constructor(entry: string | null, events: EmbedHostEvents) {
    this.#entry = entry;
    this.#events = events;
    this.#base = new URL('.', location.href).href;
    this.session = new URL(this.#base).pathname.split('/').filter(Boolean).at(-1) ?? '';
  }

  async socketAddress(): Promise<string | Ending> {
    const token = await this.#current();
    if ('sentence' in token) return token;
    return `${this.#base.replace(/^http/, 'ws')}ws?token=${encodeURIComponent(token.text)}`;
  }

  async files(suffix: string, request: RequestInit = {}): Promise<Response> {
    const token = await this.#current();
    if ('sentence' in token) throw new Error(token.sentence);
    const headers = new Headers(request.headers);
    headers.set('Authorization', `Bearer ${token.text}`);
    return fetch(`${this.#base}files${suffix}`, { ...request, headers });
  }

  notify(event: HostEvent): void {
    if (event.type === 'ended') clearTimeout(this.#renewal);
    this.#events.notify(event);
  }

  /** A token that is good for a while, or why there is none. Rejects when the server cannot be reached now. */
  async #current(): Promise<Token | Ending> {
    if (this.#token && Date.now() < this.#token.goodUntil - SPARE_MS) return this.#token;
    return this.#traded();
  }

  /** At most one trade is under way: the entry works once. */
  #traded(): Promise<Token | Ending> {
    this.#trade ??= this.#tradeAny().finally(() => (this.#trade = null));
    return this.#trade;
  }

  /** By the token that runs out, by the entry, or by the cookie, which the browser adds by itself where it may. */
  async #tradeAny(): Promise<Token | Ending> {
    const bearer = this.#token && { headers: { Authorization: `Bearer ${this.#token.text}` } };
    const entry = this.#entry !== null && {
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ entry: this.#entry }),
    };
    for (const proof of [bearer, entry, {}]) {
      if (!proof) continue;
      const signal = AbortSignal.timeout(ANSWER_MAX_MS);
      const answer = await fetch(`${this.#base}token`, { method: 'POST', cache: 'no-store', signal, ...proof });
      if (proof === entry) this.#entry = null;
      if (answer.ok) return this.#keep(answer);
      const ending = await endingOf(answer);
      if (ending !== DENIED) return ending;
    }
    return DENIED;
  }

  async #keep(answer: Response): Promise<Token> {
    const grant: unknown = await answer.json();
    if (!isGrant(grant)) throw new Error('could not read the answer');
    // The two clocks need not agree; the answer's own date tells how long it lasts.
    const date = Date.parse(answer.headers.get('Date') ?? '');
    const life = grant.expiresAt - (Number.isNaN(date) ? Date.now() : date);
    this.#token = { text: grant.token, goodUntil: Date.now() + life };
    this.#events.framedBy(grant.embeddingOrigins);
    this.#renewIn(life * RENEWED_AT);
    return this.#token;
  }

  #renewIn(pause: number): void {
    clearTimeout(this.#renewal);
    const later = Math.min(Math.max(pause, RENEWAL_PAUSE_LEAST_MS), RENEWAL_PAUSE_MAX_MS);
    // What is wrong shows when the token is next needed; until then the one that is there may still be good.
    this.#renewal = setTimeout(() => void this.#traded().catch(() => this.#renewIn(0)), later);
  }
}

/** `DENIED` for a proof that is not taken. Throws for what may pass. */
async function endingOf(answer: Response): Promise<Ending> {
  const body: unknown = await answer.json().catch(() => null);
  if (isRefusal(body) && body.endReason !== undefined) return endingOfReason(body.endReason);
  const ending = endingOfStatus(answer.status);
  if (!ending) throw new Error(`the server answered ${answer.status}`);
  return answer.status === 401 || answer.status === 403 ? DENIED : { ...ending, reason: 'session_unknown' };
}
