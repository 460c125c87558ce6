//! What the embedder's element says of how the page should be (`bbx-ui-sync`): applied where it differs from what it said
//! before, so that a person's own choice since then stays.

import type { InteractionMode } from '../protocol.ts';
import { type Check, flag, oneOf, text } from '../schema.ts';
import type { Chrome } from './controls.ts';

export interface Wishes {
  chromeMode: Chrome;
  uiVisible: boolean;
  allowUserToggleUI: boolean;
  /** Names of permissions, separated by spaces or commas. */
  mediaPermissions: string;
  sessionUnloadWarning: boolean;
  /** How a page's wish to keep a person from leaving is answered. */
  beforeunloadBehavior: 'prompt' | 'accept' | 'dismiss';
  interactionMode: InteractionMode;
}

const WISHES: { readonly [K in keyof Wishes]: Check<Wishes[K]> } = {
  chromeMode: oneOf('none', 'minimal', 'default', 'custom'),
  uiVisible: flag,
  allowUserToggleUI: flag,
  mediaPermissions: text,
  sessionUnloadWarning: flag,
  beforeunloadBehavior: oneOf('prompt', 'accept', 'dismiss'),
  interactionMode: oneOf('full', 'limited', 'view-only'),
};

export class Sync {
  readonly #grant: { readonly [K in keyof Wishes]: (wish: Wishes[K]) => void };
  #said = new Map<string, unknown>();

  constructor(grant: { readonly [K in keyof Wishes]: (wish: Wishes[K]) => void }) {
    this.#grant = grant;
  }

  apply(data: unknown): void {
    if (typeof data !== 'object' || data === null) return;
    for (const name of Object.keys(WISHES) as (keyof Wishes)[])
      this.#applyOne(name, (data as Readonly<Record<string, unknown>>)[name]);
  }

  #applyOne<K extends keyof Wishes>(name: K, value: unknown): void {
    const check: Check<Wishes[K]> = WISHES[name];
    if (!check(value) || this.#said.get(name) === value) return;
    this.#said.set(name, value);
    this.#grant[name](value);
  }
}
