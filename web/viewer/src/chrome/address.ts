//! Back, forward, reload or stop, and the address field.

import { find, icon } from '../dom.ts';
import type { Tab } from '../protocol.ts';
import type { Context } from './context.ts';

export class Address {
  readonly #context: Context;
  readonly #back = find(HTMLButtonElement, '#back');
  readonly #forward = find(HTMLButtonElement, '#forward');
  readonly #reload = find(HTMLButtonElement, '#reload');
  readonly #field = find(HTMLInputElement, '#address');
  #tab: Tab | null = null;
  #editing = false;

  constructor(context: Context) {
    this.#context = context;
    this.#back.append(icon('back'));
    this.#forward.append(icon('forward'));
    this.#reload.append(icon('reload'));
    this.#back.addEventListener('click', () => context.act({ type: 'back' }));
    this.#forward.addEventListener('click', () => context.act({ type: 'forward' }));
    this.#reload.addEventListener('click', (event) => this.reload(event.shiftKey));
    this.#field.addEventListener('focus', () => this.#field.select());
    this.#field.addEventListener('input', () => (this.#editing = true));
    this.#field.addEventListener('blur', () => this.#restore());
    this.#field.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      this.#restore();
      context.toPage();
    });
    find(HTMLFormElement, '#navigation').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#go();
    });
  }

  /** Shows a tab, and whether this viewer may drive it. */
  show(tab: Tab | null): void {
    const { control } = this.#context.view;
    this.#tab = tab;
    this.#back.disabled = !control || !tab?.canGoBack;
    this.#forward.disabled = !control || !tab?.canGoForward;
    this.#reload.disabled = !control || !tab;
    this.#field.readOnly = !control;
    const name = tab?.loading ? 'Stop' : 'Reload';
    if (this.#reload.ariaLabel !== name) {
      this.#reload.ariaLabel = name;
      this.#reload.title = tab?.loading ? 'Stop' : 'Reload (Ctrl+R)';
      this.#reload.replaceChildren(icon(name.toLowerCase()));
    }
    if (!this.#editing) this.#restore();
  }

  focus(): void {
    this.#field.focus();
  }

  reload(hard: boolean): void {
    this.#context.act(this.#tab?.loading ? { type: 'stop' } : { type: 'reload', hard });
  }

  #go(): void {
    const url = addressOf(this.#field.value);
    if (url === null) return;
    this.#context.act({ type: 'navigate', url });
    this.#editing = false;
    this.#context.toPage();
  }

  #restore(): void {
    this.#editing = false;
    const url = this.#tab?.url ?? '';
    this.#field.value = url === 'about:blank' ? '' : url;
  }
}

/** What a person types for an address, as one; null for nothing. */
export function addressOf(typed: string): string | null {
  const text = typed.trim();
  if (!text) return null;
  const local = /^(localhost|127\.|\[::1\])/i.test(text);
  const hostAndPort = /^[^/?#\s]+:\d+(?=[/?#]|$)/.test(text);
  if (!hostAndPort && /^[a-z][a-z0-9+.-]*:/i.test(text)) return text;
  return `${local ? 'http' : 'https'}://${text}`;
}
