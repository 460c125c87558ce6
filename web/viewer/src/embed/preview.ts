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
  readonly #viewport: Viewport;
  readonly #calls: Calls;
  #over: ReturnType<typeof setTimeout> | undefined;

  constructor(surface: Surface, viewport: Viewport, calls: Calls) {
    this.#marks = new Marks(surface);
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
    const { scrollX = 0, scrollY = 0 } = this.#viewport.scroll ?? {};
    const boxes = found.matches.map((match) => ({ ...match, x: match.x - scrollX, y: match.y - scrollY }));
    this.#marks.show(boxes, `${boxes.length} × ${selector}`);
    clearTimeout(this.#over);
    this.#over = setTimeout(() => this.#marks.show([]), SHOWN_MS);
  }
}
