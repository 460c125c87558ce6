//! A login link: the address of the session page with its token. It goes into the iframe's `src` and nowhere else.

import { BrowserBoxError } from './errors.ts';

export class LoginLink {
  readonly origin: string;
  /** The routing id that the link names. */
  readonly mid: string | null;
  readonly #url: URL;

  /** Fails for what is no web address: a `javascript:` or `data:` link would run as the embedding page. */
  constructor(text: string) {
    const url = parsed(text);
    if (url?.protocol !== 'https:' && url?.protocol !== 'http:')
      throw new BrowserBoxError('ERR_INVALID_ARGUMENT', 'login-link requires a non-empty http or https address');
    this.#url = url;
    this.origin = url.origin;
    this.mid = url.searchParams.get('mid');
  }

  /** With parameters that the login page tolerates. */
  href(more: Readonly<Record<string, string>> = {}): string {
    const url = new URL(this.#url);
    for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value);
    return url.href;
  }
}

/** The origin of an address, null for what is none. */
export function originOf(text: string): string | null {
  return parsed(text)?.origin ?? null;
}

function parsed(text: string): URL | null {
  try {
    return new URL(text, document.baseURI);
  } catch {
    return null;
  }
}
