//! What the embedder lets the sites do that a person visits: the sites of the remote browser, with that browser's devices.

import type { Sent } from '../protocol.ts';

const GRANTABLE: readonly string[] = ['camera', 'microphone', 'geolocation', 'display-capture'];

export class Sites {
  readonly #act: (message: Sent<'permission'>) => void;
  #granted: readonly string[] = [];
  #origin: string | null = null;

  constructor(act: (message: Sent<'permission'>) => void) {
    this.#act = act;
  }

  /** `names`: separated by spaces or commas. What was granted before is not taken back from sites that have it. */
  grant(names: string): void {
    this.#granted = GRANTABLE.filter((name) => names.split(/[\s,]+/).includes(name));
    this.#permit();
  }

  /** Another page is on the picture. */
  show(url = ''): void {
    const origin = /^https?:/.test(url) && URL.canParse(url) ? new URL(url).origin : null;
    if (origin === this.#origin) return;
    this.#origin = origin;
    this.#permit();
  }

  #permit(): void {
    if (this.#origin === null) return;
    for (const name of this.#granted) this.#act({ type: 'permission', origin: this.#origin, name, state: 'granted' });
  }
}
