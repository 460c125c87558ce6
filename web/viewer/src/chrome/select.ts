//! Select lists. The page's own popup is not in the picture, so it is drawn here, where the page's field is.

import { clamp, make, takeKeyboard } from '../dom.ts';
import type { Received } from '../protocol.ts';
import type { Context } from './context.ts';

type Select = Received<'select'>;

/** A pause longer than this begins another word when typing to find an option. */
const TYPING_PAUSE_MS = 700;
const ROOM_LEAST_PX = 160;

export class SelectList {
  readonly #context: Context;
  #open: { select: Select; box: HTMLElement; options: HTMLElement[]; chosen: Set<number>; at: number } | null = null;
  #typed = '';
  #typedAt = 0;

  constructor(context: Context) {
    this.#context = context;
  }

  show(select: Select): void {
    this.#remove();
    const chosen = new Set(select.options.flatMap(({ selected }, index) => (selected ? [index] : [])));
    const options = select.options.map(({ label, disabled }, index) =>
      make(
        'div',
        { role: 'option', id: `option-${index}`, class: 'option', 'aria-disabled': disabled ? 'true' : undefined },
        label || '\u00a0',
      ),
    );
    const { control } = this.#context.view;
    const list = make('div', {
      class: 'options',
      role: 'listbox',
      tabindex: 0,
      'aria-label': 'Options of the page’s list',
      'aria-multiselectable': select.multiple ? 'true' : undefined,
      'aria-disabled': control ? undefined : 'true',
    });
    list.append(...grouped(select, options));
    const box = make('div', { class: 'select-list' }, list);
    if (select.multiple && control) box.append(this.#doneButton());
    this.#open = { select, box, options, chosen, at: Math.max([...chosen][0] ?? 0, 0) };
    this.#place(select, box);
    this.#context.view.surface.element.append(box);
    this.#mark();
    if (!control) return;
    for (const [index, option] of options.entries()) option.addEventListener('click', () => this.#pick(index));
    list.addEventListener('keydown', (event) => this.#key(event));
    // Presses in the list are not presses on the picture.
    for (const kind of ['mousedown', 'mousemove', 'wheel', 'touchstart', 'touchmove', 'touchend'] as const) {
      box.addEventListener(kind, (event) => event.stopPropagation());
    }
    box.addEventListener('focusout', ({ relatedTarget }) => {
      if (!(relatedTarget instanceof Node && box.contains(relatedTarget)) && this.#open?.box === box) this.#cancel();
    });
    takeKeyboard(list);
  }

  close(id: string): void {
    if (this.#open?.select.id === id) this.clear();
  }

  clear(): void {
    const hadFocus = this.#open?.box.contains(document.activeElement);
    this.#remove();
    if (hadFocus) this.#context.toPage();
  }

  #remove(): void {
    const box = this.#open?.box;
    // First forgotten, then removed: removing what has the focus says that the focus left.
    this.#open = null;
    box?.remove();
  }

  #doneButton(): HTMLButtonElement {
    const done = make('button', { type: 'button', class: 'primary' }, 'Done');
    done.addEventListener('click', () => this.#answer());
    return done;
  }

  /** Below the field, or above it when there is more room. */
  #place({ x, y, width, height }: Select, box: HTMLElement): void {
    const { surface } = this.#context.view;
    const { scale, element } = surface;
    const above = y * scale;
    const below = element.clientHeight - (y + height) * scale;
    const up = below < ROOM_LEAST_PX && above > below;
    const wide = Math.max(width * scale, Math.min(ROOM_LEAST_PX, element.clientWidth));
    box.style.left = `${clamp(x * scale, 0, Math.max(element.clientWidth - wide, 0))}px`;
    box.style.minWidth = `${wide}px`;
    box.style.maxHeight = `${Math.max(up ? above : below, Math.min(ROOM_LEAST_PX, element.clientHeight))}px`;
    if (up) box.style.bottom = `${element.clientHeight - above}px`;
    else box.style.top = `${Math.min((y + height) * scale, Math.max(element.clientHeight - ROOM_LEAST_PX, 0))}px`;
  }

  #mark(): void {
    if (!this.#open) return;
    const { options, chosen, at, box } = this.#open;
    for (const [index, option] of options.entries()) {
      option.ariaSelected = String(chosen.has(index));
      option.classList.toggle('at', index === at);
    }
    box.firstElementChild?.setAttribute('aria-activedescendant', `option-${at}`);
    options[at]?.scrollIntoView({ block: 'nearest' });
  }

  #pick(index: number): void {
    if (!this.#open || this.#open.select.options[index]?.disabled !== false) return;
    const { chosen, select } = this.#open;
    this.#open.at = index;
    if (select.multiple) {
      if (!chosen.delete(index)) chosen.add(index);
      this.#mark();
      return;
    }
    chosen.clear();
    chosen.add(index);
    this.#answer();
  }

  #answer(): void {
    if (!this.#open) return;
    const { chosen, select } = this.#open;
    this.clear();
    this.#context.act({ type: 'select', id: select.id, indices: [...chosen].sort((one, other) => one - other) });
  }

  #cancel(): void {
    if (!this.#open) return;
    const { id } = this.#open.select;
    this.clear();
    this.#context.act({ type: 'select', id, cancelled: true });
  }

  #key(event: KeyboardEvent): void {
    if (!this.#open || event.ctrlKey || event.metaKey) return;
    const { at, select } = this.#open;
    switch (event.key) {
      case 'ArrowDown':
        this.#step(at + 1, 1);
        break;
      case 'ArrowUp':
        this.#step(at - 1, -1);
        break;
      case 'Home':
        this.#step(0, 1);
        break;
      case 'End':
        this.#step(select.options.length - 1, -1);
        break;
      case 'Enter':
        if (select.multiple) this.#answer();
        else this.#pick(at);
        break;
      case ' ':
        this.#pick(at);
        break;
      case 'Escape':
        this.#cancel();
        break;
      case 'Tab':
        // On to the button of a multiple list; out of a single one.
        return;
      default:
        if ([...event.key].length !== 1) return;
        this.#find(event.key);
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #step(to: number, by: 1 | -1): void {
    if (!this.#open) return;
    const { options } = this.#open.select;
    while (options[to]?.disabled) to += by;
    if (!options[to]) return;
    this.#open.at = to;
    this.#mark();
  }

  #find(character: string): void {
    if (!this.#open) return;
    const now = performance.now();
    this.#typed = (now - this.#typedAt > TYPING_PAUSE_MS ? '' : this.#typed) + character.toLowerCase();
    this.#typedAt = now;
    const found = this.#open.select.options.findIndex(
      ({ label, disabled }) => !disabled && label.trim().toLowerCase().startsWith(this.#typed),
    );
    if (found >= 0) this.#step(found, 1);
  }
}

/** Options under the names of their groups. */
function grouped({ options }: Select, elements: readonly HTMLElement[]): HTMLElement[] {
  const top: HTMLElement[] = [];
  let name: string | undefined;
  for (const [index, element] of elements.entries()) {
    const group = options[index]?.group;
    if (group === undefined) {
      top.push(element);
    } else if (group === name) {
      top.at(-1)?.append(element);
    } else {
      const title = make('div', { class: 'group-name', role: 'presentation' }, group);
      top.push(make('div', { role: 'group', 'aria-label': group }, title, element));
    }
    name = group;
  }
  return top;
}
