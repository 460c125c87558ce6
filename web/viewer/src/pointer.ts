//! Mouse, wheel and fingers on the picture, as messages in the page's own pixels.

import { clamp } from './dom.ts';
import { modifiersOf } from './modifiers.ts';
import type { Sent, TouchPoint, ViewerMessage } from './protocol.ts';
import type { Surface } from './surface.ts';

export interface PointerEvents {
  send(message: ViewerMessage): void;
  /** For what may be left out when the way is blocked. */
  sendIfClear(message: ViewerMessage): void;
  /** A press is about to be sent: the keyboard should go to the page as well. */
  pressed(how: 'mouse' | 'touch'): void;
}

const BUTTONS = ['left', 'middle', 'right', 'back', 'forward'] as const;
/** `MouseEvent.buttons` orders them otherwise than `MouseEvent.button`. */
const HELD_BITS = [1, 4, 2, 8, 16] as const;
/** What one line of a mouse wheel scrolls, as Chromium on Linux counts it. */
const LINE_PIXELS = 40;
/** Clicks in a row; more than a page can tell apart, and still one byte. */
const CLICKS_MAX = 255;

export class Pointer {
  readonly #surface: Surface;
  readonly #events: PointerEvents;
  #pressed = new Set<number>();
  #last = '';
  /** Some browsers number fingers at random; the page gets the lowest number that is free. */
  #fingers = new Map<number, number>();

  constructor(surface: Surface, events: PointerEvents) {
    this.#surface = surface;
    this.#events = events;
    const { element } = surface;
    const active = { passive: false };
    element.addEventListener('mousedown', (event) => this.#down(event));
    element.addEventListener('wheel', (event) => this.#wheel(event), active);
    element.addEventListener('contextmenu', (event) => event.preventDefault());
    element.addEventListener('auxclick', (event) => event.preventDefault());
    // On the window, so that a drag that leaves the picture goes on.
    addEventListener('mousemove', (event) => this.#move(event));
    addEventListener('mouseup', (event) => this.#up(event));
    for (const kind of ['start', 'move', 'end', 'cancel'] as const) {
      element.addEventListener(`touch${kind}`, (event) => this.#touch(kind, event), active);
    }
  }

  #down(event: MouseEvent): void {
    event.preventDefault();
    this.#events.pressed('mouse');
    this.#pressed.add(event.button);
    this.#mouse('down', event);
  }

  #up(event: MouseEvent): void {
    if (!this.#pressed.delete(event.button)) return;
    event.preventDefault();
    this.#mouse('up', event);
  }

  #move(event: MouseEvent): void {
    // The release of a button that happened where nobody told us, as over another window.
    for (const button of this.#pressed) {
      if ((event.buttons & (HELD_BITS[button] ?? 0)) === 0) {
        this.#pressed.delete(button);
        this.#events.send({ ...this.#message('up', event), button: BUTTONS[button] ?? 'none', clicks: 1 });
      }
    }
    const inside = event.target instanceof Node && this.#surface.element.contains(event.target);
    if (!inside && this.#pressed.size === 0) return;
    this.#mouse('move', event);
  }

  #mouse(kind: 'move' | 'down' | 'up', event: MouseEvent): void {
    const message = this.#message(kind, event);
    if (kind !== 'move') {
      this.#last = '';
      this.#events.send(message);
      return;
    }
    // Browsers report a move after each press and each scroll, without one.
    const place = `${message.x} ${message.y} ${message.modifiers}`;
    if (place !== this.#last) this.#events.sendIfClear(message);
    this.#last = place;
  }

  #message(kind: 'move' | 'down' | 'up', event: MouseEvent): Sent<'mouse'> {
    const held = BUTTONS.findIndex((_, index) => this.#pressed.has(index));
    const button = kind === 'move' ? BUTTONS[held] : BUTTONS[event.button];
    return {
      type: 'mouse',
      kind,
      ...this.#surface.pointOf(event),
      button: button ?? 'none',
      buttons: event.buttons,
      clicks: kind === 'move' ? 0 : clamp(event.detail, 1, CLICKS_MAX),
      modifiers: modifiersOf(event),
    };
  }

  #wheel(event: WheelEvent): void {
    event.preventDefault();
    const page = this.#surface.height;
    const unit = [1, LINE_PIXELS, page][event.deltaMode] ?? 1;
    this.#events.sendIfClear({
      type: 'wheel',
      ...this.#surface.pointOf(event),
      dx: event.deltaX * unit,
      dy: event.deltaY * unit,
      modifiers: modifiersOf(event),
    });
  }

  #touch(kind: 'start' | 'move' | 'end' | 'cancel', event: TouchEvent): void {
    if (event.cancelable) event.preventDefault();
    if (kind === 'start') this.#events.pressed('touch');
    const down = new Set([...event.targetTouches].map(({ identifier }) => identifier));
    for (const finger of this.#fingers.keys()) if (!down.has(finger)) this.#fingers.delete(finger);
    const points = [...event.targetTouches].map((touch) => this.#finger(touch));
    // `points` are the fingers that are down; the end is when the last one has left.
    const said = kind === 'end' && points.length > 0 ? 'move' : kind;
    const message: ViewerMessage = { type: 'touch', kind: said, points, modifiers: modifiersOf(event) };
    if (kind === 'move') this.#events.sendIfClear(message);
    else this.#events.send(kind === 'cancel' ? { ...message, points: [] } : message);
  }

  #finger(touch: Touch): TouchPoint {
    const taken = new Set(this.#fingers.values());
    let id = this.#fingers.get(touch.identifier) ?? 0;
    if (!this.#fingers.has(touch.identifier)) while (taken.has(id)) id += 1;
    this.#fingers.set(touch.identifier, id);
    const point: TouchPoint = { id, ...this.#surface.pointOf(touch) };
    if (touch.radiusX > 0)
      point.radius = Math.round((Math.max(touch.radiusX, touch.radiusY) / this.#surface.scale) * 100) / 100;
    if (touch.force > 0) point.force = touch.force;
    return point;
  }
}
