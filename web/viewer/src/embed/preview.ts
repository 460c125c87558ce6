//! Shows a person for a moment what a generalised selection has found: a frame around every match that is in sight.

import { list, number, object, text } from '../schema.ts';
import type { Surface } from '../surface.ts';
import type { Calls } from './calls.ts';
import { Marks } from './marks.ts';
import type { Viewport } from './viewport.ts';

const isSelection = object({ selector: text });
const isFound = object({ matches: list(object({ x: number, y: number, width: number, height: number })) });

const MATCHES_MAX = 200;
const SHOWN_MS = 4_000;

export class Preview {
  readonly #marks: Marks;
  readonly #surface: Surface;
  readonly #viewport: Viewport;
  readonly #calls: Calls;
  #over: ReturnType<typeof setTimeout> | undefined;

  constructor(surface: Surface, viewport: Viewport, calls: Calls) {
    this.#marks = new Marks(surface);
    this.#surface = surface;
    this.#viewport = viewport;
    this.#calls = calls;
  }

  /** Of what `generalizeSelection` has answered. */
  show(selection: unknown): void {
    if (!isSelection(selection)) return;
    const { selector } = selection;
    const found = this.#calls.make('resolvePageTarget', [{ selector }, { maxMatches: MATCHES_MAX }]);
    // Nothing hangs on it: what cannot be shown is not.
    found.then((matches) => this.#draw(matches, selector)).catch(() => {});
  }

  #draw(found: unknown, selector: string): void {
    if (!isFound(found)) return;
    const { scrollX = 0, scrollY = 0, width = this.#surface.width } = this.#viewport.scroll ?? {};
    // A page that is zoomed has larger pixels of its own.
    const scale = this.#surface.width / width;
    const boxes = found.matches.map((match) => ({
      x: (match.x - scrollX) * scale,
      y: (match.y - scrollY) * scale,
      width: match.width * scale,
      height: match.height * scale,
    }));
    this.#marks.show(boxes, `${boxes.length} × ${selector}`);
    clearTimeout(this.#over);
    this.#over = setTimeout(() => this.#marks.show([]), SHOWN_MS);
  }
}
