//! What the page asks and waits for: JavaScript dialogs and files. Each is a card over the picture; who may only look sees it
//! without the buttons.

import { make, takeKeyboard } from '../dom.ts';
import type { Received } from '../protocol.ts';
import type { Context } from './context.ts';
import { upload } from './upload.ts';

type Dialog = Received<'dialog'>;
type FileChooser = Received<'fileChooser'>;

export class Questions {
  readonly #context: Context;
  readonly #place: HTMLElement;
  #cards = new Map<string, HTMLElement>();

  constructor(context: Context, place: HTMLElement) {
    this.#context = context;
    this.#place = place;
  }

  dialog(dialog: Dialog): void {
    const [yes, no] = BUTTONS[dialog.kind];
    const field =
      dialog.kind === 'prompt' ? make('input', { type: 'text', 'aria-label': dialog.message || 'Answer' }) : null;
    if (field) field.value = dialog.default ?? '';
    const answer = (accept: boolean) => {
      this.close(dialog.id);
      this.#context.act({ type: 'dialog', id: dialog.id, accept, text: accept ? field?.value : undefined });
    };
    const buttons = [make('button', { type: 'submit', class: 'primary', 'data-control': true }, yes)];
    if (no) buttons.unshift(this.#button(no, () => answer(false)));
    const message = dialog.kind === 'beforeunload' ? 'Changes that you made may not be saved.' : dialog.message;
    const title = dialog.kind === 'beforeunload' ? 'Leave this page?' : `${siteOf(dialog.url)} says`;
    const content: HTMLElement[] = [make('p', { class: 'message', id: `question-${dialog.id}-message` }, message)];
    if (field) content.push(field);
    const card = this.#card(
      dialog.id,
      title,
      content,
      buttons,
      () => answer(true),
      () => answer(dialog.kind === 'alert'),
    );
    takeKeyboard(field ?? card.querySelector<HTMLElement>('.primary'));
    // Selecting takes the keyboard too.
    if (field && field === document.activeElement) field.select();
  }

  fileChooser(chooser: FileChooser): void {
    const { id, multiple, accept } = chooser;
    const input = make('input', {
      type: 'file',
      multiple,
      accept: accept.join(','),
      'aria-label': multiple ? 'Files' : 'File',
    });
    const state = make('p', { class: 'quiet', role: 'status', id: `question-${id}-message` });
    const cancel = () => {
      this.close(id);
      this.#context.act({ type: 'files', id, cancelled: true });
    };
    input.addEventListener('change', () => void this.#upload(id, input, state));
    const title = multiple ? 'The page asks for files' : 'The page asks for a file';
    this.#card(id, title, [input, state], [this.#button('Cancel', cancel)], () => {}, cancel);
    takeKeyboard(input);
    // Right after the click that made the page ask, the choice opens at once, as it would in a browser of one's own.
    if (this.#context.view.control && navigator.userActivation?.isActive) input.click();
  }

  close(id: string): void {
    const card = this.#cards.get(id);
    if (!card) return;
    const hadFocus = card.contains(document.activeElement);
    card.remove();
    this.#cards.delete(id);
    if (hadFocus) this.#context.toPage();
  }

  /** A new connection tells anew what is open. */
  clear(): void {
    for (const id of [...this.#cards.keys()]) this.close(id);
  }

  async #upload(id: string, input: HTMLInputElement, state: HTMLElement): Promise<void> {
    const files = [...(input.files ?? [])];
    if (files.length === 0) return;
    input.disabled = true;
    try {
      const paths = await upload(this.#context.host, files, (sentence) => (state.textContent = sentence));
      // Meanwhile the page may have gone away, or somebody else may have answered.
      if (!this.#cards.has(id)) return;
      this.close(id);
      this.#context.act({ type: 'files', id, paths });
    } catch (error) {
      state.textContent = error instanceof Error ? error.message : 'The file could not be sent.';
      input.disabled = false;
      takeKeyboard(input);
    }
  }

  #button(label: string, run: () => void): HTMLButtonElement {
    const button = make('button', { type: 'button', 'data-control': true }, label);
    button.addEventListener('click', run);
    return button;
  }

  #card(
    id: string,
    title: string,
    content: HTMLElement[],
    buttons: HTMLElement[],
    done: () => void,
    escape: () => void,
  ) {
    this.close(id);
    const name = `question-${id}`;
    const heading = make('h2', { id: name }, title);
    const { control } = this.#context.view;
    const last = control
      ? make('div', { class: 'buttons' }, ...buttons)
      : make('p', { class: 'quiet' }, 'Somebody with control can answer.');
    const card = make(
      'form',
      { class: 'card', role: 'alertdialog', 'aria-labelledby': name, 'aria-describedby': `${name}-message` },
      heading,
      ...content,
      last,
    );
    if (!control) for (const field of card.querySelectorAll('input')) field.disabled = true;
    card.addEventListener('submit', (event) => {
      event.preventDefault();
      if (this.#context.view.control) done();
    });
    card.addEventListener('keydown', (event) => {
      if (event.key === 'Escape' && this.#context.view.control) escape();
    });
    this.#cards.set(id, card);
    this.#place.append(card);
    return card;
  }
}

const BUTTONS: Readonly<Record<Dialog['kind'], readonly [yes: string, no?: string]>> = {
  alert: ['OK'],
  confirm: ['OK', 'Cancel'],
  prompt: ['OK', 'Cancel'],
  beforeunload: ['Leave', 'Stay'],
};

function siteOf(url: string): string {
  try {
    return new URL(url).host || 'This page';
  } catch {
    return 'This page';
  }
}
