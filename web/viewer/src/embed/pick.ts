//! A person chooses an element of the page: a layer over the picture takes the mouse, the finger or the arrow keys, a frame shows
//! what is under them, and what is chosen is described by the machine. The page notices nothing.

import { clamp, make } from '../dom.ts';
import { number, object, optional, text } from '../schema.ts';
import type { Point, Surface } from '../surface.ts';
import { type CallFailed, failed } from './failure.ts';
import { Marks } from './marks.ts';

const isBox = object({ x: number, y: number, width: number, height: number });
const isElement = object({ selector: text, rect: optional(isBox) });

export interface PickerSetup {
  readonly surface: Surface;
  /** Where the words stand. */
  readonly stage: HTMLElement;
  /** Describes the element at a point of the viewport. */
  inspect(point: Point): Promise<unknown>;
  /** The keyboard goes back to where it was. */
  done(): void;
}

const PROMPT = 'Choose something in the page';
const PROMPT_CHARS_MAX = 300;
/** What is under a resting mouse changes when the page does. */
const LOOK_EVERY_MS = 500;
/** A person who went away must not keep the page covered. */
const PICK_MAX_MS = 10 * 60_000;
const STEP_PX = 10;
const LARGE_STEP_PX = 80;
const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

export class Picker {
  readonly #setup: PickerSetup;
  #open: Pick | null = null;

  constructor(setup: PickerSetup) {
    this.#setup = setup;
  }

  /** What was chosen, as `page.inspectAt` describes it, without its place. */
  async begin(prompt: unknown): Promise<unknown> {
    if (this.#open) throw failed('ERR_NOT_READY', 'a selection is already active', { status: 409 });
    const sentence = typeof prompt === 'string' && prompt.trim() ? prompt.slice(0, PROMPT_CHARS_MAX) : PROMPT;
    const pick = new Pick(this.#setup, sentence);
    this.#open = pick;
    try {
      return await pick.chosen;
    } finally {
      this.#open = null;
      pick.remove();
      this.#setup.done();
    }
  }

  /** Whether there was something to cancel. */
  cancel(): boolean {
    const open = this.#open;
    open?.cancel();
    return open !== null;
  }
}

class Pick {
  readonly chosen: Promise<unknown>;
  readonly #setup: PickerSetup;
  readonly #marks: Marks;
  readonly #layer: HTMLElement;
  readonly #bar: HTMLElement;
  readonly #said: HTMLElement;
  readonly #timers: ReturnType<typeof setTimeout>[];
  #choose: (element: unknown) => void = () => {};
  #fail: (error: CallFailed) => void = () => {};
  #point: Point;
  #looking = false;
  #lookAgain = false;

  constructor(setup: PickerSetup, prompt: string) {
    this.#setup = setup;
    const { surface, stage } = setup;
    this.chosen = new Promise((resolve, reject) => ([this.#choose, this.#fail] = [resolve, reject]));
    this.#point = { x: surface.width / 2, y: surface.height / 2 };
    this.#marks = new Marks(surface);
    this.#layer = make('div', { class: 'pick', tabindex: 0, role: 'application', 'aria-label': prompt });
    const cancel = make('button', { type: 'button' }, 'Cancel');
    cancel.addEventListener('click', () => this.cancel());
    this.#said = make('span', { class: 'quiet', role: 'status' }, 'Arrow keys move, Enter chooses.');
    this.#bar = make('div', { class: 'pick-bar', role: 'group', 'aria-label': 'Selection' });
    this.#bar.append(make('span', {}, make('strong', {}, prompt), ' ', this.#said), cancel);
    surface.element.append(this.#layer);
    stage.append(this.#bar);
    this.#listen();
    this.#layer.focus({ preventScroll: true });
    this.#timers = [
      setInterval(() => this.#look(), LOOK_EVERY_MS),
      setTimeout(() => this.#fail(failed('ERR_TIMEOUT', 'nothing was selected in time')), PICK_MAX_MS),
    ];
    this.#look();
  }

  cancel(): void {
    this.#fail(failed('ERR_INTERNAL', 'selection cancelled'));
  }

  remove(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#marks.layer.remove();
    this.#layer.remove();
    this.#bar.remove();
  }

  #listen(): void {
    const layer = this.#layer;
    // Neither the page below nor the picture's own listeners get what happens here.
    for (const kind of ['mousedown', 'mousemove', 'mouseup', 'touchstart', 'touchmove', 'touchend', 'wheel'] as const)
      layer.addEventListener(kind, (event) => event.stopPropagation());
    layer.addEventListener('pointermove', (event) => this.#moveTo(this.#setup.surface.pointOf(event)));
    layer.addEventListener('click', (event) => {
      // A click that the keyboard or a program makes has no place.
      if (event.detail > 0) this.#moveTo(this.#setup.surface.pointOf(event));
      void this.#take();
    });
    for (const element of [layer, this.#bar])
      element.addEventListener('keydown', (event) => this.#key(event, element === layer));
  }

  #key(event: KeyboardEvent, steering: boolean): void {
    const arrow = ARROWS[event.key];
    if (event.key === 'Escape') this.cancel();
    else if (steering && arrow) this.#step(arrow, event.shiftKey ? LARGE_STEP_PX : STEP_PX);
    else if (steering && (event.key === 'Enter' || event.key === ' ')) void this.#take();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #step([right, down]: readonly [number, number], by: number): void {
    const { width, height } = this.#setup.surface;
    const { x, y } = this.#point;
    this.#moveTo({ x: clamp(x + right * by, 0, width - 1), y: clamp(y + down * by, 0, height - 1) });
  }

  #moveTo(point: Point): void {
    this.#point = point;
    this.#look();
  }

  /** One question at a time; the latest point is asked about when the answer is there. */
  #look(): void {
    this.#lookAgain = this.#looking;
    if (this.#looking) return;
    this.#looking = true;
    const inspected = this.#setup.inspect(this.#point);
    inspected
      .then((element) => this.#show(element))
      // What cannot be described now has no frame.
      .catch(() => this.#marks.show([]))
      .finally(() => {
        this.#looking = false;
        if (this.#lookAgain && this.#layer.isConnected) this.#look();
      });
  }

  #show(element: unknown): void {
    if (!isElement(element) || !this.#layer.isConnected) {
      this.#marks.show([]);
      return;
    }
    this.#marks.show(element.rect ? [element.rect] : [], element.selector);
    if (this.#said.textContent !== element.selector) this.#said.textContent = element.selector;
  }

  async #take(): Promise<void> {
    try {
      const element = await this.#setup.inspect(this.#point);
      if (!isElement(element)) throw failed('ERR_INTERNAL', 'nothing is there to select');
      const { rect, ...described } = element;
      this.#choose(described);
    } catch {
      this.#said.textContent = 'Nothing can be chosen there.';
    }
  }
}
