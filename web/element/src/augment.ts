//! What an embedder lays over the remote browser: drawn here, in the embedder's page, and never in the remote one.
//! Each lies in a space: the whole element, the bar of the page, the picture, or the remote page itself, whose
//! scrolling it follows.

import type { Augment, AugmentHandle, AugmentKind, AugmentSpace, AugmentSpec, Rect } from './api.ts';
import { rendered } from './content.ts';
import { BrowserBoxError } from './errors.ts';
import { randomId } from './ids.ts';
import { isRecord } from './policy.ts';
import { AUGMENT_STYLE, sheet } from './styles.ts';

/** At once; the next is refused. */
const AUGMENTS_MAX = 100;
const MATCHES_MAX = 50;
const TOAST_MS = 5000;
/** After the page moved or changed, targets are looked up again when it has been still for so long. */
const STILL_MS = 250;

const SPACES: Readonly<Record<AugmentKind, AugmentSpace>> = {
  sidebar: 'session',
  toolbar: 'session',
  toast: 'session',
  panel: 'viewport',
  custom: 'viewport',
  highlight: 'page',
  note: 'page',
  badge: 'page',
};
const ROLES: Readonly<Partial<Record<AugmentKind, string>>> = {
  sidebar: 'complementary',
  panel: 'complementary',
  toolbar: 'toolbar',
  toast: 'status',
  note: 'note',
};

export interface Viewport {
  readonly scrollX: number;
  readonly scrollY: number;
  readonly width: number;
  readonly height: number;
  /** Where the picture lies in the iframe. */
  readonly surface: Rect;
}

type Spec = AugmentSpec & { readonly kind: AugmentKind; readonly space: AugmentSpace };

interface Drawn {
  readonly id: string;
  spec: Spec;
  /** Its content, in the first of the boxes. */
  body: Node | null;
  /** One, or one for each match of a highlight. */
  readonly boxes: HTMLElement[];
  /** In the page's document, CSS px. */
  places: readonly Rect[];
  timer?: ReturnType<typeof setTimeout>;
}

export class Augments {
  readonly #host: HTMLElement;
  readonly #resolve: (selector: string, most: number) => Promise<readonly Rect[]>;
  readonly #drawn = new Map<string, Drawn>();
  #spaces: Readonly<Record<AugmentSpace, HTMLElement>> | null = null;
  #viewport: Viewport | null = null;
  #still: ReturnType<typeof setTimeout> | undefined;

  /** `resolve` finds a selector in the remote page: rectangles of its document, CSS px. */
  constructor(host: HTMLElement, resolve: (selector: string, most: number) => Promise<readonly Rect[]>) {
    this.#host = host;
    this.#resolve = resolve;
  }

  create(given: AugmentSpec, root: ShadowRootMode): AugmentHandle {
    const spec = checked(given);
    const id = spec.id ?? randomId();
    if (this.#drawn.has(id)) throw new BrowserBoxError('ERR_CONFLICT', `augment ${id} already exists`);
    if (this.#drawn.size >= AUGMENTS_MAX)
      throw new BrowserBoxError('ERR_CONFLICT', `there are ${AUGMENTS_MAX} augments, the most at once`);
    if (!this.#spaces) {
      this.#spaces = spacesIn(this.#host, root);
      this.#placeAll();
    }
    const drawn: Drawn = { id, spec, body: bodyOf(spec), boxes: [], places: [] };
    this.#drawn.set(id, drawn);
    this.#draw(drawn);
    return { id, update: (patch) => this.update(id, patch), remove: () => this.remove(id) };
  }

  update(id: string, patch: Partial<AugmentSpec>): Augment {
    const drawn = this.#drawn.get(id);
    if (!drawn) throw new BrowserBoxError('ERR_NOT_FOUND', `augment ${id} does not exist`);
    const spec = checked({ ...drawn.spec, ...patch });
    drawn.body = bodyOf(spec);
    drawn.spec = spec;
    this.#draw(drawn);
    return described(drawn);
  }

  remove(id: string): boolean {
    const drawn = this.#drawn.get(id);
    if (!drawn) return false;
    clearTimeout(drawn.timer);
    for (const box of drawn.boxes) box.remove();
    return this.#drawn.delete(id);
  }

  list(): readonly Augment[] {
    return [...this.#drawn.values()].map(described);
  }

  clear(): void {
    for (const id of [...this.#drawn.keys()]) this.remove(id);
    clearTimeout(this.#still);
  }

  /** The space of an augment, or of a change of the one with `id`. */
  spaceOf(spec: Partial<AugmentSpec>, id = ''): AugmentSpace {
    return checked({ ...this.#drawn.get(id)?.spec, ...spec }).space;
  }

  /** The page in the picture has moved, or the picture in the element. */
  moved(viewport: Viewport): void {
    this.#viewport = viewport;
    this.#placeAll();
    this.lookAgain();
  }

  /** Another document, or one that has changed: targets are looked up where they are now, however often this is said. */
  lookAgain(): void {
    clearTimeout(this.#still);
    this.#still = setTimeout(() => {
      for (const drawn of this.#drawn.values()) void this.#find(drawn);
    }, STILL_MS);
  }

  #draw(drawn: Drawn): void {
    clearTimeout(drawn.timer);
    const { spec } = drawn;
    const kind = spec.kind;
    if (kind === 'toast') drawn.timer = setTimeout(() => this.remove(drawn.id), spec.durationMs ?? TOAST_MS);
    drawn.places = spec.rect ? [spec.rect] : [];
    for (const box of drawn.boxes.splice(0)) box.remove();
    this.#boxes(drawn);
    void this.#find(drawn);
  }

  /** As many boxes as there are places, and one at least. */
  #boxes(drawn: Drawn): void {
    const wanted = drawn.spec.kind === 'highlight' ? Math.max(drawn.places.length, 1) : 1;
    for (const box of drawn.boxes.splice(wanted)) box.remove();
    while (drawn.boxes.length < wanted) {
      const box = this.#box(drawn, drawn.boxes.length === 0);
      drawn.boxes.push(box);
      this.#spaces?.[drawn.spec.space].append(box);
    }
    this.#place(drawn);
  }

  #box({ id, spec, body }: Drawn, first: boolean): HTMLElement {
    const kind = spec.kind;
    const box = document.createElement('div');
    box.className = `augment ${kind}`;
    box.dataset['id'] = id;
    if (spec.side) box.dataset['side'] = spec.side;
    const role = ROLES[kind];
    if (role) box.role = role;
    if (kind === 'highlight') box.ariaHidden = 'true';
    if (spec.title) {
      box.ariaLabel = spec.title;
      if (kind !== 'highlight') box.append(heading(spec.title));
    }
    if (spec.closable) box.append(closer(() => this.remove(id)));
    if (body && first) box.append(body);
    return box;
  }

  async #find(drawn: Drawn): Promise<void> {
    const { spec } = drawn;
    if (spec.space !== 'page' || spec.target === undefined) return;
    const most = spec.kind === 'highlight' ? Math.min(spec.maxMatches ?? 1, MATCHES_MAX) : 1;
    // The page may be gone, or refuse: then it stays where it was.
    const found = await this.#resolve(selectorOf(spec.target), most).catch(() => null);
    if (!found || drawn.spec !== spec || !this.#drawn.has(drawn.id)) return;
    drawn.places = found.slice(0, most);
    this.#boxes(drawn);
  }

  #placeAll(): void {
    if (!this.#spaces) return;
    const { surface } = this.#viewport ?? {};
    for (const space of ['viewport', 'page'] as const) setRect(this.#spaces[space], surface ?? null);
    setRect(
      this.#spaces.chrome,
      surface ? { x: 0, y: 0, width: surface.x * 2 + surface.width, height: surface.y } : null,
    );
    for (const drawn of this.#drawn.values()) this.#place(drawn);
  }

  #place(drawn: Drawn): void {
    if (drawn.spec.space !== 'page') {
      for (const box of drawn.boxes) setRect(box, drawn.spec.rect ?? null);
      return;
    }
    const view = this.#viewport;
    const scale = view && view.width > 0 ? view.surface.width / view.width : 1;
    drawn.boxes.forEach((box, at) => {
      const place = drawn.places[at];
      box.hidden = !place;
      if (!place) return;
      const x = (place.x - (view?.scrollX ?? 0)) * scale;
      const y = (place.y - (view?.scrollY ?? 0)) * scale;
      setRect(box, { x, y, width: place.width * scale, height: place.height * scale }, drawn.spec.kind !== 'highlight');
    });
  }
}

function bodyOf({ content }: Spec): Node | null {
  return content === undefined ? null : rendered(content);
}

function spacesIn(host: HTMLElement, mode: ShadowRootMode): Readonly<Record<AugmentSpace, HTMLElement>> {
  const root = host.attachShadow({ mode });
  root.adoptedStyleSheets = [sheet(AUGMENT_STYLE)];
  const space = (name: AugmentSpace) => {
    const layer = document.createElement('div');
    layer.className = `space ${name}`;
    root.append(layer);
    return layer;
  };
  return { page: space('page'), viewport: space('viewport'), chrome: space('chrome'), session: space('session') };
}

/** Null leaves the place to the style sheet. At a point, a thing keeps its own size. */
function setRect(element: HTMLElement, rect: Partial<Rect> | null, pointOnly = false): void {
  const set = (name: string, value: number | undefined) => {
    if (value === undefined || !Number.isFinite(value)) element.style.removeProperty(name);
    else element.style.setProperty(name, `${value}px`);
  };
  if (rect) element.style.setProperty('inset', 'auto');
  else element.style.removeProperty('inset');
  set('width', pointOnly ? undefined : rect?.width);
  set('height', pointOnly ? undefined : rect?.height);
  if (!rect) return;
  set('left', pointOnly && rect.width !== undefined ? (rect.x ?? 0) + rect.width : rect.x);
  set('top', rect.y);
}

function checked(spec: unknown): Spec {
  if (!isRecord(spec)) throw new BrowserBoxError('ERR_INVALID_ARGUMENT', 'augment requires an object');
  const given = spec as AugmentSpec;
  const kind = given.kind ?? given.type ?? 'custom';
  if (!Object.hasOwn(SPACES, kind))
    throw new BrowserBoxError('ERR_INVALID_ARGUMENT', `augment requires a non-empty known kind, not ${kind}`);
  const space = given.space ?? SPACES[kind];
  if (!['session', 'viewport', 'chrome', 'page'].includes(space))
    throw new BrowserBoxError('ERR_INVALID_ARGUMENT', `augment requires a non-empty known space, not ${space}`);
  if (space === 'page' && given.target === undefined && !given.rect)
    throw new BrowserBoxError('ERR_INVALID_ARGUMENT', 'an augment on the page requires target.selector or a rect');
  return { ...given, kind, space };
}

const selectorOf = (target: NonNullable<AugmentSpec['target']>): string =>
  typeof target === 'string' ? target : target.selector;

function described({ id, spec }: Drawn): Augment {
  const { title, content, target, rect } = spec;
  return { id, kind: spec.kind, space: spec.space, title, content, target, rect };
}

function heading(text: string): HTMLElement {
  const title = document.createElement('div');
  title.className = 'title';
  title.textContent = text;
  return title;
}

function closer(close: () => void): HTMLElement {
  const button = document.createElement('button');
  button.className = 'close';
  button.type = 'button';
  button.ariaLabel = 'Close';
  button.textContent = '×';
  button.addEventListener('click', close);
  return button;
}
