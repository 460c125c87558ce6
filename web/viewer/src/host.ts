//! What surrounds the view and decides for it: which session, with which token, under which addresses, and who wants to
//! know how it goes. A page that embeds the view brings a `Host` of its own; everything else stays as it is.

import type { Ending } from './endings.ts';
import type { ServerMessage } from './protocol.ts';

export type HostEvent =
  | { readonly type: 'connected'; readonly mode: 'view' | 'control' }
  | { readonly type: 'reconnecting' }
  | { readonly type: 'ended'; readonly ending: Ending }
  | { readonly type: 'titled'; readonly title: string }
  | { readonly type: 'heard'; readonly message: ServerMessage };

export interface Host {
  /** Where the WebSocket is, with the token; or why there is no way to it. Rejects when that cannot be told now. */
  socketAddress(): Promise<string | Ending>;
  /** Asks the session's files: `''` lists, `/raw?path=…` reads and writes. */
  files(suffix: string, request?: RequestInit): Promise<Response>;
  notify(event: HostEvent): void;
}

const NO_TOKEN: Ending = {
  sentence: 'This link has no access token. Open the whole link that you were given.',
  again: false,
};

/** A host that is the address bar: `…/view/SESSION#token=TOKEN`. */
export class PageHost implements Host {
  readonly #session: string;
  readonly #base: string;
  #token: string | null;

  /** `renewed`: the address got another token, as by following a new link to the same session. */
  constructor(renewed: () => void) {
    this.#session = location.pathname.split('/').filter(Boolean).at(-1) ?? '';
    this.#base = new URL(this.#session, location.href).href;
    this.#token = this.#takeToken();
    addEventListener('hashchange', () => {
      this.#token = this.#takeToken();
      renewed();
    });
  }

  async socketAddress(): Promise<string | Ending> {
    if (this.#token === null) return NO_TOKEN;
    return `${this.#base.replace(/^http/, 'ws')}/ws?token=${encodeURIComponent(this.#token)}`;
  }

  files(suffix: string, request: RequestInit = {}): Promise<Response> {
    const headers = new Headers(request.headers);
    headers.set('Authorization', `Bearer ${this.#token ?? ''}`);
    return fetch(`${this.#base}/files${suffix}`, { ...request, headers });
  }

  notify(event: HostEvent): void {
    if (event.type === 'titled') document.title = event.title ? `${event.title} – Vitrine` : 'Vitrine';
  }

  /** The token leaves the address bar, where it would be seen and copied, but stays for a reload of this browser tab. */
  #takeToken(): string | null {
    const given = new URLSearchParams(location.hash.slice(1)).get('token');
    const place = `vitrine.token.${this.#session}`;
    try {
      if (given) sessionStorage.setItem(place, given);
      else return sessionStorage.getItem(place);
    } catch {
      // Storage is refused in some frames; then a reload needs the whole link again, and the address keeps it.
      return given;
    }
    history.replaceState(history.state, '', location.pathname + location.search);
    return given;
  }
}
