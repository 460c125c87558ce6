//! What the page's site may do. Browsers under remote control do not ask: the policy decides, and this panel changes it.

import { find, icon, make } from '../dom.ts';
import type { PermissionState, Received, Tab } from '../protocol.ts';
import type { Context } from './context.ts';

const STATES: Readonly<Record<PermissionState, string>> = { prompt: 'Not set', granted: 'Allow', denied: 'Block' };

export class Permissions {
  readonly #context: Context;
  readonly #panel = find(HTMLElement, '#permissions');
  readonly #title = find(HTMLElement, '#permission-origin');
  readonly #list = find(HTMLElement, '#permission-list');
  #origin: string | null = null;

  constructor(context: Context) {
    this.#context = context;
    find(HTMLButtonElement, '#show-permissions').append(icon('shield'));
    this.#panel.addEventListener('toggle', (event) => {
      if (event instanceof ToggleEvent && event.newState === 'open') this.#ask();
    });
  }

  show(tab: Tab | null): void {
    const origin = originOf(tab?.url ?? '');
    if (origin === this.#origin) return;
    this.#origin = origin;
    this.#list.replaceChildren();
    if (this.#panel.matches(':popover-open')) this.#ask();
  }

  update({ origin, states }: Received<'permissions'>): void {
    if (origin !== this.#origin) return;
    this.#list.replaceChildren(...states.map(({ name, state }) => this.#row(origin, name, state)));
  }

  #ask(): void {
    this.#title.textContent = this.#origin ?? 'This page has no site of its own, so nothing can be allowed.';
    if (this.#origin) this.#context.ask({ type: 'permissions', origin: this.#origin });
  }

  #row(origin: string, name: string, state: PermissionState): HTMLElement {
    const choice = make('select', { disabled: !this.#context.view.control, 'data-control': true });
    for (const [value, label] of Object.entries(STATES))
      choice.append(new Option(label, value, false, value === state));
    choice.addEventListener('change', () => {
      this.#context.act({ type: 'permission', origin, name, state: choice.value as PermissionState });
    });
    return make('label', { class: 'row' }, make('span', {}, labelOf(name)), choice);
  }
}

function originOf(url: string): string | null {
  return /^https?:/.test(url) && URL.canParse(url) ? new URL(url).origin : null;
}

/** `clipboardReadWrite` and `midi-sysex` as words. */
function labelOf(name: string): string {
  const words = name
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .replace(/[-_]/g, ' ')
    .toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
