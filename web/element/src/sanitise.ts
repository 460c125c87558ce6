//! HTML that may come from anywhere, made harmless: what is not known to be is left out. Elements of a closed list,
//! attributes of a closed list, web addresses only, no style that loads, covers the window or escapes.

const ELEMENTS = new Set(
  (
    'A ABBR B BLOCKQUOTE BR BUTTON CAPTION CODE DD DEL DETAILS DIV DL DT EM FIGCAPTION FIGURE H1 H2 H3 H4 H5 H6 HR I IMG INS KBD ' +
    'LABEL LI MARK METER OL P PRE PROGRESS Q S SAMP SECTION SMALL SPAN STRONG SUB SUMMARY SUP TABLE TBODY TD TFOOT TH THEAD TIME ' +
    'TR U UL VAR WBR'
  ).split(' '),
);
/** Of these not even the text is kept. */
const DROPPED = new Set('SCRIPT STYLE TEMPLATE IFRAME OBJECT EMBED NOSCRIPT TITLE SVG MATH TEXTAREA SELECT'.split(' '));
const ATTRIBUTES = new Set(
  (
    'alt class colspan datetime dir for height high href hidden id lang low max min open optimum role rowspan scope src start ' +
    'style tabindex title type value width'
  ).split(' '),
);
const LINK = /^(?:https?:|mailto:|#)/i;
const IMAGE = /^(?:https?:|data:image\/(?:png|jpeg|gif|webp|avif);)/i;
/** Loads something, hides a word from this list (by an escape or a comment in its middle), or leaves its place. */
const UNSAFE_STYLE = /url|image|expression|import|var\s*\(|[\\@<]|\/\*|position\s*:\s*(?:fixed|sticky)/i;

/** The harmless part of `html`. */
export function sanitise(html: string): DocumentFragment {
  // A document without a window: nothing loads or runs while it is read.
  const source = new DOMParser().parseFromString(html, 'text/html');
  const clean = document.createDocumentFragment();
  copyChildren(source.body, clean);
  return clean;
}

/** Copies instead of removing, so that only what is listed can ever arrive. */
function copyChildren(from: Node, to: Node): void {
  for (const node of from.childNodes) {
    if (node.nodeType === Node.TEXT_NODE) to.appendChild(document.createTextNode(node.nodeValue ?? ''));
    else if (node instanceof HTMLElement && ELEMENTS.has(node.tagName)) to.appendChild(copied(node));
    else if (node instanceof Element && !DROPPED.has(node.tagName.toUpperCase())) copyChildren(node, to);
  }
}

function copied(from: HTMLElement): HTMLElement {
  const element = document.createElement(from.tagName);
  for (const { name, value } of from.attributes)
    if ((ATTRIBUTES.has(name) || name.startsWith('aria-') || name.startsWith('data-')) && harmless(name, value.trim()))
      set(element, name, value);
  if (element instanceof HTMLAnchorElement) {
    element.target = '_blank';
    element.rel = 'noopener noreferrer';
  }
  if (element instanceof HTMLButtonElement) element.type = 'button';
  copyChildren(from, element);
  return element;
}

function set(element: HTMLElement, name: string, value: string): void {
  // An embedder's content policy may forbid the attribute, but not this.
  if (name === 'style') element.style.cssText = value;
  else element.setAttribute(name, value);
}

function harmless(name: string, value: string): boolean {
  switch (name) {
    case 'href':
      return LINK.test(value);
    case 'src':
      return IMAGE.test(value);
    case 'style':
      return !UNSAFE_STYLE.test(value);
    default:
      return true;
  }
}
