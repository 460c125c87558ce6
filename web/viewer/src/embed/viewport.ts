//! Where the page is scrolled, as the machine tells, together with where its picture lies in this frame: what an embedder needs to
//! draw over an element of the page.

import { number, object, type Checked } from '../schema.ts';
import type { Box, Surface } from '../surface.ts';

const isScroll = object({ scrollX: number, scrollY: number, width: number, height: number, zoom: number });
type Scroll = Checked<typeof isScroll>;

/** An eye does not see more. */
const EVERY_MS = 1000 / 30;

export class Viewport {
  scroll: Scroll | null = null;
  readonly #surface: Surface;
  readonly #tell: (detail: Scroll & { surface: Box }) => void;
  #told = '';
  #next: ReturnType<typeof setTimeout> | undefined;

  constructor(surface: Surface, tell: (detail: Scroll & { surface: Box }) => void) {
    this.#surface = surface;
    this.#tell = tell;
    new ResizeObserver(() => this.changed()).observe(surface.element);
    addEventListener('resize', () => this.changed());
    // A picture in its actual size is scrolled by its stage.
    addEventListener('scroll', () => this.changed(), { capture: true });
  }

  /** In CSS pixels of this frame. */
  get place(): Box {
    const { x, y, width, height } = this.#surface.element.getBoundingClientRect();
    return { x, y, width, height };
  }

  update(detail: unknown): void {
    if (!isScroll(detail)) return;
    this.scroll = detail;
    this.changed();
  }

  /** Tells it again to who has not heard it yet. */
  repeat(): void {
    this.#told = '';
    this.changed();
  }

  changed(): void {
    if (this.#next !== undefined) return;
    this.#next = setTimeout(() => {
      this.#next = undefined;
      if (!this.scroll) return;
      const detail = { ...this.scroll, surface: this.place };
      const now = JSON.stringify(detail);
      if (now === this.#told) return;
      this.#told = now;
      this.#tell(detail);
    }, EVERY_MS);
  }
}
