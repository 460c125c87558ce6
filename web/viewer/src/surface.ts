//! Where the picture is on this screen, and where a point of the page is in it.

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** The element that shows the picture, and the size of the page's viewport that it shows. */
export class Surface {
  readonly element: HTMLElement;
  width = 0;
  height = 0;

  constructor(element: HTMLElement) {
    this.element = element;
  }

  /** In CSS pixels of the page's viewport; points outside the picture are outside the viewport. */
  pointOf(event: { readonly clientX: number; readonly clientY: number }): Point {
    const shown = this.element.getBoundingClientRect();
    const place = (at: number, start: number, length: number, full: number) =>
      length > 0 ? Math.round(((at - start) / length) * full * 100) / 100 : 0;
    return {
      x: place(event.clientX, shown.left, shown.width, this.width),
      y: place(event.clientY, shown.top, shown.height, this.height),
    };
  }

  /** How large a CSS pixel of the page is shown. */
  get scale(): number {
    return this.width > 0 ? this.element.clientWidth / this.width : 1;
  }

  /** Lays an element over a box of the page. */
  place(element: HTMLElement, box: Box): void {
    const { scale } = this;
    element.style.left = `${box.x * scale}px`;
    element.style.top = `${box.y * scale}px`;
    element.style.width = `${box.width * scale}px`;
    element.style.height = `${box.height * scale}px`;
  }
}
