//! What the page downloaded, to be saved on this machine.

import { find, icon, make } from '../dom.ts';
import type { Received } from '../protocol.ts';
import type { Context } from './context.ts';
import { reasonOf } from './upload.ts';

type Download = Received<'download'>;

/** Rows kept; a page that downloads without end is not listed without end. */
const ROWS_MAX = 100;

export class Downloads {
  readonly #context: Context;
  readonly #list = find(HTMLElement, '#download-list');
  readonly #button = find(HTMLButtonElement, '#show-downloads');
  #downloads = new Map<string, Download>();
  #unseen = 0;

  constructor(context: Context) {
    this.#context = context;
    this.#button.append(icon('download'));
    find(HTMLElement, '#downloads').addEventListener('toggle', (event) => {
      if (!(event instanceof ToggleEvent) || event.newState !== 'open') return;
      this.#seen(0);
      void this.#listEarlier();
    });
    this.#draw();
  }

  update(download: Download): void {
    const before = this.#downloads.get(download.id);
    this.#downloads.set(download.id, download);
    this.#downloads.delete(listed(download.path));
    for (const id of this.#downloads.keys()) {
      if (this.#downloads.size <= ROWS_MAX) break;
      this.#downloads.delete(id);
    }
    if (!before) this.#seen(this.#unseen + 1);
    if (download.state === 'completed' && before?.state !== 'completed') {
      this.#context.say(`Downloaded ${download.name}`, { label: 'Save', run: () => void this.#save(download) });
    }
    this.#draw();
  }

  /** Downloads from before this page was opened. */
  async #listEarlier(): Promise<void> {
    const answer = await this.#context.host.files('').catch(() => null);
    const body = answer?.ok ? ((await answer.json().catch(() => null)) as { files?: unknown } | null) : null;
    if (!Array.isArray(body?.files)) return;
    const known = new Set([...this.#downloads.values()].map(({ path }) => path));
    for (const { path, name, size, source, state } of body.files as Record<string, unknown>[]) {
      if (source !== 'download' || state !== 'completed' || typeof path !== 'string' || known.has(path)) continue;
      const received = typeof size === 'number' ? size : 0;
      const id = listed(path);
      this.#downloads.set(id, {
        type: 'download',
        id,
        name: String(name),
        url: '',
        size: received,
        received,
        state,
        path,
      });
      if (this.#downloads.size >= ROWS_MAX) break;
    }
    this.#draw();
  }

  #seen(unseen: number): void {
    this.#unseen = unseen;
    this.#button.dataset['count'] = unseen > 0 ? String(unseen) : '';
    this.#button.ariaLabel = unseen > 0 ? `Downloads, ${unseen} new` : 'Downloads';
  }

  #draw(): void {
    const rows = [...this.#downloads.values()].reverse().map((download) => this.#row(download));
    this.#list.replaceChildren(
      ...(rows.length > 0 ? rows : [make('li', { class: 'quiet' }, 'Nothing was downloaded yet.')]),
    );
  }

  #row(download: Download): HTMLElement {
    const { name, size, received, state } = download;
    const words = make('div', { class: 'words' }, make('span', { class: 'name', title: name }, name));
    const row = make('li', { class: 'row' }, words);
    switch (state) {
      case 'inProgress': {
        const bar = make('progress', { 'aria-label': name });
        if (size) [bar.max, bar.value] = [size, received];
        words.append(bar, make('span', { class: 'quiet' }, `${bytes(received)}${size ? ` of ${bytes(size)}` : ''}`));
        break;
      }
      case 'completed': {
        words.append(make('span', { class: 'quiet' }, bytes(size ?? received)));
        const save = make('button', { type: 'button', 'aria-label': `Save ${name}` }, 'Save');
        save.addEventListener('click', () => void this.#save(download));
        row.append(save);
        break;
      }
      case 'cancelled':
        words.append(make('span', { class: 'quiet' }, 'Cancelled'));
        break;
    }
    return row;
  }

  async #save({ path, name }: Download): Promise<void> {
    const answer = await this.#context.host
      .files(`/raw?path=${encodeURIComponent(path ?? `downloads/${name}`)}`)
      .catch(() => null);
    if (!answer?.ok) {
      this.#context.say(`${name} could not be saved: ${await reasonOf(answer)}`);
      return;
    }
    const address = URL.createObjectURL(await answer.blob());
    make('a', { href: address, download: name }).click();
    // The browser needs the address for as long as it takes to begin.
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  }
}

/** The id of a row that is only known from the list of files. */
function listed(path: string | undefined): string {
  return `file:${path}`;
}

export function bytes(count: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB'];
  let unit = 0;
  while (count >= 1000 && unit < units.length - 1) {
    count /= 1000;
    unit += 1;
  }
  return `${unit === 0 || count >= 100 ? Math.round(count) : count.toFixed(1)} ${units[unit]}`;
}
