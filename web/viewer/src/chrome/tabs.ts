//! The tab strip. Who has control switches the session's active tab; who may only look switches what they look at.

import { find, icon, make } from '../dom.ts';
import type { Received, Tab } from '../protocol.ts';
import type { Context } from './context.ts';

interface Shown {
  readonly item: HTMLElement;
  readonly button: HTMLButtonElement;
  readonly close: HTMLButtonElement;
}

export interface TabEvents {
  /** Another tab is on the picture, or the same one is no longer what it was. */
  shown(tab: Tab | null): void;
  /** A new, empty tab was asked for. */
  opened(): void;
}

export class Tabs {
  /** The tab on the picture. */
  current: Tab | null = null;
  readonly #context: Context;
  readonly #list = find(HTMLElement, '#tabs');
  readonly #events: TabEvents;
  #tabs: readonly Tab[] = [];
  #shown = new Map<string, Shown>();
  #active: string | undefined;
  #watching: string | undefined;

  constructor(context: Context, events: TabEvents) {
    this.#context = context;
    this.#events = events;
    const open = find(HTMLButtonElement, '#new-tab');
    open.append(icon('plus'));
    open.addEventListener('click', () => this.open());
    find(HTMLButtonElement, '#close-tab').addEventListener('click', () => this.close());
    this.#list.addEventListener('keydown', (event) => this.#key(event));
  }

  update({ active, tabs }: Received<'tabs'>): void {
    this.#active = active;
    this.#tabs = tabs;
    for (const [id, { item }] of this.#shown) {
      if (tabs.some((tab) => tab.id === id)) continue;
      item.remove();
      this.#shown.delete(id);
    }
    tabs.forEach((tab, index) => {
      const shown = this.#shown.get(tab.id) ?? this.#make(tab.id);
      fill(shown, tab);
      const there = this.#list.children[index] ?? null;
      // Moving an element takes the focus away from it.
      if (there !== shown.item) this.#list.insertBefore(shown.item, there);
    });
    this.#select();
  }

  watching({ tab }: Received<'watching'>): void {
    this.#watching = tab;
    this.#select();
  }

  open(): void {
    this.#context.act({ type: 'newTab' });
    this.#events.opened();
  }

  close(id = this.current?.id): void {
    if (id !== undefined) this.#context.act({ type: 'closeTab', tab: id });
  }

  /** The next tab to the right, or with -1 to the left. */
  step(by: 1 | -1): void {
    const next = this.#neighbour(this.current?.id, by);
    if (next) this.#choose(next.id);
  }

  focus(): void {
    const shown = this.current ? this.#shown.get(this.current.id) : undefined;
    (shown?.button ?? find(HTMLElement, '#new-tab')).focus();
  }

  #make(id: string): Shown {
    const button = make('button', {
      type: 'button',
      class: 'tab',
      role: 'tab',
      'aria-controls': 'stage',
      tabindex: -1,
    });
    // The mouse's way only: a tab cannot hold another control, and the Delete key does the same.
    const close = make('button', {
      type: 'button',
      class: 'close',
      tabindex: -1,
      'aria-hidden': 'true',
      'data-control': true,
    });
    close.append(icon('close'));
    const item = make('div', { class: 'tab-item', role: 'presentation' }, button, close);
    button.addEventListener('click', () => {
      this.#choose(id);
      this.#context.toPage();
    });
    item.addEventListener('auxclick', (event) => event.button === 1 && this.close(id));
    close.addEventListener('click', () => this.close(id));
    const shown = { item, button, close };
    this.#shown.set(id, shown);
    return shown;
  }

  #choose(id: string): void {
    const { view } = this.#context;
    if (view.control) this.#context.act({ type: 'activate', tab: id });
    this.#context.ask(view.control ? { type: 'watch' } : { type: 'watch', tab: id });
  }

  #select(): void {
    const watched = this.#tabs.find(({ id }) => id === this.#watching);
    this.current = watched ?? this.#tabs.find(({ id }) => id === this.#active) ?? null;
    for (const [id, { item, button }] of this.#shown) {
      const selected = id === this.current?.id;
      if (selected && button.ariaSelected !== 'true') item.scrollIntoView({ block: 'nearest', inline: 'nearest' });
      button.ariaSelected = String(selected);
      button.tabIndex = selected ? 0 : -1;
    }
    this.#events.shown(this.current);
  }

  #key(event: KeyboardEvent): void {
    const focused = [...this.#shown].find(([, { button }]) => button === event.target)?.[0];
    const target = this.#keyTarget(event.key, focused);
    if (event.key === 'Delete') this.close(focused);
    else if (target) this.#shown.get(target.id)?.button.focus();
    else return;
    event.preventDefault();
  }

  #keyTarget(key: string, focused: string | undefined): Tab | undefined {
    switch (key) {
      case 'ArrowRight':
        return this.#neighbour(focused, 1);
      case 'ArrowLeft':
        return this.#neighbour(focused, -1);
      case 'Home':
        return this.#tabs[0];
      case 'End':
        return this.#tabs.at(-1);
      default:
        return undefined;
    }
  }

  #neighbour(id: string | undefined, by: number): Tab | undefined {
    const at = this.#tabs.findIndex((tab) => tab.id === id);
    return this.#tabs.at((at + by) % this.#tabs.length);
  }
}

function fill({ button, close }: Shown, tab: Tab): void {
  const title = tab.crashed ? `${nameOf(tab)} (stopped working)` : nameOf(tab);
  const label = make('span', { class: 'title' }, title);
  button.replaceChildren(pictureOf(tab), label);
  button.title = title;
  button.ariaBusy = String(tab.loading);
  close.title = `Close ${title}`;
}

function pictureOf({ loading, crashed, favicon }: Tab): Element {
  if (loading) return make('span', { class: 'spinner' });
  if (crashed) return icon('warning');
  // Only pictures that came with the message: an address would tell the page's owner who is watching.
  if (!favicon?.startsWith('data:image/')) return icon('page');
  const picture = make('img', { src: favicon, alt: '', width: 16, height: 16 });
  picture.addEventListener('error', () => picture.replaceWith(icon('page')));
  return picture;
}

export function nameOf({ title, url }: Tab): string {
  return title || url.replace(/^https?:\/\//, '') || 'New tab';
}
