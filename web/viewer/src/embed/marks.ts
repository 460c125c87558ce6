//! Frames drawn over elements of the page, where the picture shows them.

import { make } from '../dom.ts';
import type { Box, Surface } from '../surface.ts';

/** Of one set; a selector may match without end. */
const MARKS_MAX = 200;
/** The name stands above its frame where there is room for it. */
const NAME_PX = 22;

export class Marks {
  readonly layer = make('div', { class: 'marks', 'aria-hidden': 'true' });
  readonly #surface: Surface;
  #boxes: readonly Box[] = [];
  #name = '';

  constructor(surface: Surface) {
    this.#surface = surface;
    surface.element.append(this.layer);
    // The picture's size changes with the window.
    new ResizeObserver(() => this.#draw()).observe(surface.element);
  }

  /** In CSS pixels of the page's viewport; none removes the frames. `name` stands above the first. */
  show(boxes: readonly Box[], name = ''): void {
    const shown = JSON.stringify([this.#boxes, this.#name]);
    this.#boxes = boxes.slice(0, MARKS_MAX);
    this.#name = name;
    if (JSON.stringify([this.#boxes, name]) !== shown) this.#draw();
  }

  #draw(): void {
    this.layer.replaceChildren(
      ...this.#boxes.map((box, index) => {
        const mark = make('div', { class: 'mark' });
        if (index === 0 && this.#name) {
          const above = box.y * this.#surface.scale >= NAME_PX;
          mark.append(make('span', { class: above ? 'mark-name above' : 'mark-name' }, this.#name));
        }
        this.#surface.place(mark, box);
        return mark;
      }),
    );
  }
}
