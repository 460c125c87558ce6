//! How large the picture is shown, how large the page is, and how far it is zoomed.

import { clamp, find, icon } from '../dom.ts';
import type { Received } from '../protocol.ts';
import type { Context } from './context.ts';

const ZOOM_STEPS = [0.25, 0.33, 0.5, 0.67, 0.75, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3, 4, 5];
/** A window that is being dragged is not followed at every pixel. */
const SETTLED_MS = 300;
const PAGE_LEAST_PX = 200;
const PAGE_MOST_PX = 3840;

export class Sizing {
  readonly #context: Context;
  readonly #stage = find(HTMLElement, '#stage');
  readonly #pageSize = find(HTMLSelectElement, '#page-size');
  readonly #zoomShown = find(HTMLOutputElement, '#zoom');
  readonly #jpeg = find(HTMLInputElement, '#use-jpeg');
  #fit = true;
  #zoom = 1;
  /** The window's size when the page was last given one. */
  #asked: readonly [width: number, height: number] = [0, 0];
  #settled: ReturnType<typeof setTimeout> | undefined;

  constructor(context: Context) {
    this.#context = context;
    find(HTMLButtonElement, '#show-options').append(icon('view'));
    for (const choice of document.querySelectorAll<HTMLInputElement>('input[name="fit"]')) {
      choice.addEventListener('change', () => {
        this.#fit = choice.value === 'fit';
        this.layOut();
      });
    }
    this.#pageSize.addEventListener('change', () => this.#resizePage());
    for (const [selector, name, by] of [
      ['#zoom-out', 'minus', -1],
      ['#zoom-in', 'plus', 1],
    ] as const) {
      const button = find(HTMLButtonElement, selector);
      button.append(icon(name));
      button.addEventListener('click', () => this.zoom(by));
    }
    find(HTMLButtonElement, '#zoom-reset').addEventListener('click', () => this.zoom(0));
    this.#jpeg.addEventListener('change', () => context.view.useCoding(this.#jpeg.checked ? 'jpeg' : 'h264'));
    find(HTMLElement, '#options').addEventListener('toggle', () => {
      const { supported, screen } = context.view;
      this.#jpeg.checked = screen.coding === 'jpeg';
      this.#jpeg.disabled = !supported.includes('h264');
    });
    new ResizeObserver(() => this.#stageResized()).observe(this.#stage);
  }

  viewport({ zoom }: Received<'viewport'>): void {
    this.#zoom = zoom;
    this.#zoomShown.value = `${Math.round(zoom * 100)}%`;
  }

  /** Asks again for the size of this window, if that was asked for: each tab has a size of its own. */
  repeat(): void {
    if (this.#pageSize.value === 'match') this.#resizePage();
  }

  /** From now on the page is as large as this window has room for. */
  match(): void {
    this.#pageSize.value = 'match';
    this.repeat();
  }

  /** One step larger, smaller, or with 0 back to 100%. */
  zoom(by: 1 | 0 | -1): void {
    const next =
      by > 0
        ? ZOOM_STEPS.find((step) => step > this.#zoom + 0.01)
        : ZOOM_STEPS.findLast((step) => step < this.#zoom - 0.01);
    const factor = by === 0 ? 1 : next;
    if (factor !== undefined) this.#context.act({ type: 'zoom', factor });
  }

  /** Gives the surface the size in which the picture is shown. */
  layOut(): void {
    const { surface } = this.#context.view;
    const { clientWidth, clientHeight } = this.#stage;
    if (surface.width === 0 || clientWidth === 0) return;
    this.#stage.classList.remove('empty');
    const scale = this.#fit ? Math.min(clientWidth / surface.width, clientHeight / surface.height) : 1;
    surface.element.style.width = `${Math.round(surface.width * scale)}px`;
    surface.element.style.height = `${Math.round(surface.height * scale)}px`;
    this.#stage.classList.toggle('scrolls', !this.#fit);
  }

  #stageResized(): void {
    this.layOut();
    if (this.#pageSize.value !== 'match') return;
    clearTimeout(this.#settled);
    this.#settled = setTimeout(() => {
      const { clientWidth, clientHeight } = this.#stage;
      const [width, height] = this.#asked;
      // A window that is there for the first time has been asked for already.
      if (clientWidth !== width || clientHeight !== height) this.#resizePage();
    }, SETTLED_MS);
  }

  #resizePage(): void {
    const { value } = this.#pageSize;
    const { clientWidth, clientHeight } = this.#stage;
    this.#asked = [clientWidth, clientHeight];
    if (value === 'reset') {
      this.#context.act({ type: 'resize', reset: true });
      return;
    }
    // A frame that is not shown has no size.
    if (value === 'match' && clientWidth === 0) return;
    const wanted = value === 'match' ? [clientWidth, clientHeight] : value.split('x').map(Number);
    const [width = 0, height = 0] = wanted.map((side) => clamp(Math.round(side), PAGE_LEAST_PX, PAGE_MOST_PX));
    this.#context.act({ type: 'resize', width, height });
  }
}
