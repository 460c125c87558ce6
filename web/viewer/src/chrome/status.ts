//! The line at the bottom, the notice over a picture that does not move, and short sentences that pass.

import type { Link } from '../connection.ts';
import { find, icon, make, unreachable } from '../dom.ts';
import type { View } from '../view.ts';

const EVERY_MS = 1_000;
const SAYING_MS = 8_000;
const SAYINGS_MAX = 3;

export class Status {
  readonly #view: View;
  readonly #mode = find(HTMLElement, '#mode');
  readonly #link = find(HTMLElement, '#link');
  readonly #viewers = find(HTMLElement, '#viewers');
  readonly #notice = find(HTMLElement, '#notice');
  readonly #sayings = find(HTMLElement, '#sayings');
  #crashed = false;
  readonly #figures = ['#size', '#rate', '#bits', '#trip'].map((selector) => find(HTMLElement, selector));

  constructor(view: View) {
    this.#view = view;
    setInterval(() => !document.hidden && this.#draw(), EVERY_MS);
  }

  link(link: Link): void {
    document.documentElement.dataset['link'] = link.state;
    switch (link.state) {
      case 'connecting':
        this.#link.textContent = link.again ? 'Reconnecting…' : 'Connecting…';
        this.mode(null);
        this.#show(make('span', { class: 'spinner' }), this.#link.textContent);
        break;
      case 'open':
        this.#link.textContent = '';
        this.#crashed = false;
        this.#show();
        break;
      case 'ended': {
        this.#link.textContent = 'Ended';
        this.mode(null);
        this.#viewers.textContent = '';
        this.#show(link.ending.sentence);
        if (link.ending.again) this.#offer('Connect again', () => this.#view.connection.connect());
        break;
      }
      default:
        unreachable(link);
    }
    this.#draw();
  }

  /** Null while there is no connection. */
  mode(mode: 'control' | 'view' | null): void {
    const control = mode === 'control';
    document.documentElement.dataset['mode'] = mode ?? 'none';
    this.#mode.replaceChildren();
    if (mode) this.#mode.append(icon(control ? 'hand' : 'eye'), control ? 'You have control' : 'View only');
    for (const element of document.querySelectorAll<HTMLButtonElement | HTMLSelectElement>('[data-control]')) {
      element.disabled = !control;
    }
  }

  /** Whether the page on the picture is there no more. */
  crashed(crashed: boolean): void {
    if (crashed === this.#crashed || document.documentElement.dataset['link'] !== 'open') return;
    this.#crashed = crashed;
    this.#show(...(crashed ? ['This page stopped working.'] : []));
    if (crashed && this.#view.control) this.#offer('Reload', () => this.#view.act({ type: 'reload', hard: false }));
  }

  viewers(count: number): void {
    this.#viewers.textContent = count === 1 ? '1 viewer' : `${count} viewers`;
  }

  say(sentence: string, action?: { readonly label: string; run(): void }): void {
    const text = make('span', {}, sentence);
    const saying = make('div', { class: 'saying' }, text);
    for (const earlier of this.#sayings.querySelectorAll('span')) {
      if (earlier.textContent === sentence) earlier.parentElement?.remove();
    }
    let over = setTimeout(() => saying.remove(), SAYING_MS);
    if (action) {
      const button = make('button', { type: 'button' }, action.label);
      button.addEventListener('click', () => {
        saying.remove();
        action.run();
      });
      saying.append(button);
    }
    // Nothing vanishes under a hand that reaches for it.
    for (const kind of ['mouseenter', 'focusin'] as const) saying.addEventListener(kind, () => clearTimeout(over));
    for (const kind of ['mouseleave', 'focusout'] as const) {
      saying.addEventListener(kind, () => (over = setTimeout(() => saying.remove(), SAYING_MS)));
    }
    this.#sayings.append(saying);
    while (this.#sayings.children.length > SAYINGS_MAX) this.#sayings.firstElementChild?.remove();
  }

  #show(...parts: (Node | string)[]): void {
    this.#notice.replaceChildren(make('div', {}, ...parts));
    this.#notice.hidden = parts.length === 0;
  }

  #offer(label: string, run: () => void): void {
    const button = make('button', { type: 'button', class: 'primary' }, label);
    button.addEventListener('click', run);
    this.#notice.firstElementChild?.append(button);
  }

  #draw(): void {
    const { screen, connection } = this.#view;
    const { framesPerSecond, kilobitsPerSecond } = screen.figures();
    const trip = connection.roundTripMs;
    const { width, height } = screen.canvas;
    const texts = [
      screen.coding ? `${width} × ${height} ${screen.coding === 'jpeg' ? 'JPEG' : 'H.264'}` : '',
      `${framesPerSecond} fps`,
      kilobitsPerSecond < 1000
        ? `${Math.round(kilobitsPerSecond)} kbit/s`
        : `${(kilobitsPerSecond / 1000).toFixed(1)} Mbit/s`,
      trip === null ? '– ms' : `${Math.max(Math.round(trip), 1)} ms`,
    ];
    this.#figures.forEach((figure, index) => (figure.textContent = texts[index] ?? ''));
  }
}
