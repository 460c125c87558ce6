//! Keys, dead keys, compositions and soft keyboards, read from a hidden text field that lies where the page's caret is, so that
//! an input method opens its window there. What a key *types* is taken from the person's own layout.
//!
//! Three ways in: a key that types by itself or not at all is a `key`; what only the text field knows (a dead key's result, a soft
//! keyboard's word) is an `insert`; a composition under way is a `compose`.

import { ALT, APPLE, CONTROL, META, modifiersOf } from './modifiers.ts';
import type { ViewerMessage } from './protocol.ts';

export interface KeyboardEvents {
  send(message: ViewerMessage): void;
  copy(cut: boolean): void;
  paste(data: DataTransfer): void;
  /** Whether a key combination is somebody else's; then it is not the page's. */
  claim(event: KeyboardEvent): boolean;
  /** The person asked to leave: the keyboard should go back to this page's controls. */
  leave(): void;
}

/** Something to delete, or soft keyboards do not tell that somebody deletes. Invisible, and no word that they would correct. */
const FILLING = '\u200b\u200b';
/** What soft keyboards ask for, as the keys that do it. */
const KEY_OF_INPUT: Readonly<Record<string, { key: string; modifiers: number }>> = {
  insertLineBreak: { key: 'Enter', modifiers: 0 },
  insertParagraph: { key: 'Enter', modifiers: 0 },
  deleteContentBackward: { key: 'Backspace', modifiers: 0 },
  deleteContentForward: { key: 'Delete', modifiers: 0 },
  deleteWordBackward: { key: 'Backspace', modifiers: CONTROL },
  deleteWordForward: { key: 'Delete', modifiers: CONTROL },
};
/** Key code of every key that an input method has taken. */
const TAKEN = 229;

interface HeldKey {
  readonly key: string;
  readonly code: string;
  readonly location: number;
}

export class Keyboard {
  readonly field: HTMLTextAreaElement;
  readonly #events: KeyboardEvents;
  #held = new Map<string, HeldKey>();
  #composingFrom: number | null = null;
  #afterDeadKey = false;
  #leaving = false;

  constructor(field: HTMLTextAreaElement, events: KeyboardEvents) {
    this.field = field;
    this.#events = events;
    this.#empty();
    field.addEventListener('keydown', (event) => this.#down(event));
    field.addEventListener('keyup', (event) => this.#up(event));
    field.addEventListener('beforeinput', (event) => this.#before(event));
    field.addEventListener('input', (event) => this.#typed(event as InputEvent));
    field.addEventListener('compositionstart', () => {
      this.#composingFrom = field.selectionStart;
    });
    field.addEventListener('compositionend', (event) => this.#composed(event.data));
    field.addEventListener('blur', () => this.release());
    for (const kind of ['copy', 'cut'] as const) {
      field.addEventListener(kind, (event) => {
        event.preventDefault();
        events.copy(kind === 'cut');
      });
    }
    field.addEventListener('paste', (event) => {
      event.preventDefault();
      if (event.clipboardData) events.paste(event.clipboardData);
    });
  }

  /** Lets go of every key that is down: nobody will tell when they come up. */
  release(): void {
    for (const held of this.#held.values()) this.#key('up', held, 0);
    this.#held.clear();
    if (this.#composingFrom !== null) this.#composed('');
    this.#afterDeadKey = false;
    this.#leaving = false;
  }

  #down(event: KeyboardEvent): void {
    if (this.#leaves(event)) return;
    if (event.isComposing || event.keyCode === TAKEN || event.key === 'Unidentified') return;
    if (event.key === 'Dead' || event.key === 'Process') {
      this.#afterDeadKey = event.key === 'Dead';
      return;
    }
    if (this.#events.claim(event)) return;
    const types = typedBy(event);
    const joins = this.#afterDeadKey && types !== null;
    if (!isModifier(event.key)) this.#afterDeadKey = false;
    // The text field joins the two, or writes both when they do not join.
    if (joins) return;
    const clipboard = types ? null : clipboardAction(event);
    // Only the browser's own paste shows what is on the clipboard.
    if (clipboard === 'paste') return;
    event.preventDefault();
    if (clipboard) {
      if (!event.repeat) this.#events.copy(clipboard === 'cut');
      return;
    }
    const { key, code, location } = event;
    this.#held.set(code || key, { key, code, location });
    this.#key('down', event, types ? types.modifiers : modifiersOf(event, key), event.repeat, types?.text);
    // Macs do not tell when a key comes up while Command is down.
    if (APPLE && event.metaKey && key !== 'Meta') this.#lift(event);
  }

  #up(event: KeyboardEvent): void {
    if (this.#leaving && isModifier(event.key)) {
      this.release();
      this.#events.leave();
      return;
    }
    this.#lift(event);
  }

  #lift(event: KeyboardEvent): void {
    const name = event.code || event.key;
    if (!this.#held.delete(name)) return;
    this.#key('up', event, modifiersOf(event, event.key));
  }

  /** Control, Alt and Shift pressed together and let go without another key. */
  #leaves(event: KeyboardEvent): boolean {
    this.#leaving = isModifier(event.key) && event.ctrlKey && event.altKey && event.shiftKey;
    return this.#leaving;
  }

  #before(event: InputEvent): void {
    if (event.isComposing) return;
    const asked = KEY_OF_INPUT[event.inputType];
    if (!asked) return;
    event.preventDefault();
    const key = { key: asked.key, code: asked.key, location: 0 };
    this.#key('down', key, asked.modifiers, false, asked.key === 'Enter' ? '\r' : undefined);
    this.#key('up', key, asked.modifiers);
  }

  #typed(event: InputEvent): void {
    if (this.#composingFrom !== null) {
      const start = this.#composingFrom;
      const { selectionStart, selectionEnd } = this.field;
      const text = event.data ?? '';
      const within = (at: number) => Math.min(Math.max(at - start, 0), text.length);
      this.#events.send({ type: 'compose', text, from: within(selectionStart), to: within(selectionEnd) });
      return;
    }
    // A composition's result has been sent at its end; some browsers write it only afterwards.
    const late = event.inputType === 'insertCompositionText' || event.inputType === 'insertFromComposition';
    if (event.data && event.inputType.startsWith('insert') && !late)
      this.#events.send({ type: 'insert', text: event.data });
    this.#empty();
  }

  #composed(text: string): void {
    this.#composingFrom = null;
    this.#events.send(text ? { type: 'insert', text } : { type: 'compose', text: '', from: 0, to: 0 });
    queueMicrotask(() => this.#composingFrom === null && this.#empty());
  }

  #key(kind: 'down' | 'up', { key, code, location }: HeldKey, modifiers: number, repeat = false, text?: string): void {
    this.#events.send({ type: 'key', kind, key, code, location, modifiers, repeat, text });
  }

  #empty(): void {
    this.field.value = FILLING;
    this.field.setSelectionRange(FILLING.length, FILLING.length);
  }
}

function isModifier(key: string): boolean {
  return key === 'Control' || key === 'Alt' || key === 'AltGraph' || key === 'Shift' || key === 'Meta';
}

/** What a key types, and the modifiers that still count besides; null for shortcuts and keys that type nothing. */
function typedBy(event: KeyboardEvent): { text: string; modifiers: number } | null {
  const { key } = event;
  if (key === 'Enter') return event.ctrlKey || event.metaKey ? null : { text: '\r', modifiers: modifiersOf(event) };
  if ([...key].length !== 1) return null;
  // The third level of a layout: AltGr, which Windows reports as Control and Alt, and Option on a Mac.
  const third = event.getModifierState('AltGraph') || (APPLE && event.altKey && !event.ctrlKey && !event.metaKey);
  if (third) return { text: key, modifiers: modifiersOf(event) & ~(ALT | CONTROL | META) };
  if (event.ctrlKey || event.metaKey || event.altKey) return null;
  return { text: key, modifiers: modifiersOf(event) };
}

/** The layout decides which key is C, as it does for every other program. */
function clipboardAction(event: KeyboardEvent): 'copy' | 'cut' | 'paste' | null {
  const { key, altKey, shiftKey } = event;
  const control = APPLE ? event.metaKey : event.ctrlKey;
  if (altKey) return null;
  if (key === 'Insert' && shiftKey !== control) return shiftKey ? 'paste' : 'copy';
  if (key === 'Delete' && shiftKey && !control) return 'cut';
  if (!control) return null;
  switch (key.toLowerCase()) {
    case 'v':
      return 'paste';
    case 'c':
      return shiftKey ? null : 'copy';
    case 'x':
      return shiftKey ? null : 'cut';
    default:
      return null;
  }
}
