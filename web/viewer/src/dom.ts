//! Making and finding elements. Text always arrives as text, never as HTML: titles, messages and names come from hostile pages.

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** An element with attributes (`true` is an empty one, `false` and `undefined` none) and children. */
export function make<K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== false && value !== undefined) element.setAttribute(attribute, value === true ? '' : String(value));
  }
  element.append(...children);
  return element;
}

/** One of the page's own icons (the symbols in index.html). */
export function icon(name: string): SVGSVGElement {
  const space = 'http://www.w3.org/2000/svg';
  const picture = document.createElementNS(space, 'svg');
  picture.setAttribute('class', 'icon');
  picture.setAttribute('aria-hidden', 'true');
  const use = document.createElementNS(space, 'use');
  use.setAttribute('href', `#icon-${name}`);
  picture.append(use);
  return picture;
}

/** An element that index.html is known to have. */
export function find<E extends Element>(kind: new () => E, selector: string, within: ParentNode = document): E {
  const found = within.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`could not find ${selector}`);
  return found;
}

/** Takes the keyboard for what appears by itself, but not from the page around this frame: what is typed there is meant for there. */
export function takeKeyboard(element: HTMLElement | null): void {
  if (window.parent === window || document.hasFocus()) element?.focus({ preventScroll: true });
}

/** For the end of a switch over all kinds: does not compile while one is missing. */
export function unreachable(_: never): void {}

export function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
