//! What is around the picture, and whether it is shown: the embedder decides, and the person where the embedder lets them.

import { find, icon, make } from '../dom.ts';
import { flag, object, optional } from '../schema.ts';

/** `custom`: the embedder draws controls of its own. */
export type Chrome = 'none' | 'minimal' | 'default' | 'custom';

const isPolicy = object({
  featureControls: optional(object({ downloads: optional(flag), clipboard: optional(flag) })),
});

export class Controls {
  #wanted = true;
  #chrome: Chrome = 'default';
  #mayToggle = true;
  readonly #stage = find(HTMLElement, '#stage');
  readonly #tools = find(HTMLElement, '.tools .group:last-child');
  readonly #button = make('button', { type: 'button', 'aria-controls': 'stage' });

  /** `toggled`: the person has shown or hidden them. */
  constructor(toggled: (visible: boolean) => void) {
    this.#button.addEventListener('click', () => {
      this.#wanted = !this.#wanted;
      this.#draw();
      this.#button.focus();
      toggled(this.visible);
    });
    this.#draw();
  }

  /** Whether they are shown: with the embedder's own controls, or none, ours are not. */
  get visible(): boolean {
    return this.#wanted && this.#hasOwn;
  }

  /** Whether the person may show and hide them. */
  get mayToggle(): boolean {
    return this.#mayToggle;
  }

  show(visible: boolean): void {
    this.#wanted = visible;
    this.#draw();
  }

  allowToggle(allow: boolean): void {
    this.#mayToggle = allow;
    this.#draw();
  }

  useChrome(chrome: Chrome): void {
    this.#chrome = chrome;
    this.#draw();
  }

  /** What the policy takes from the person as well has no button. */
  useFeatures(policy: unknown): void {
    const { downloads, clipboard } = (isPolicy(policy) && policy.featureControls) || {};
    const { dataset } = document.documentElement;
    dataset['downloads'] = String(downloads !== false);
    dataset['clipboard'] = String(clipboard !== false);
  }

  get #hasOwn(): boolean {
    return this.#chrome === 'default' || this.#chrome === 'minimal';
  }

  #draw(): void {
    const { visible } = this;
    document.documentElement.dataset['chrome'] = visible ? this.#chrome : 'none';
    this.#button.hidden = !this.#mayToggle || !this.#hasOwn;
    const label = visible ? 'Hide the controls' : 'Show the controls';
    if (this.#button.ariaLabel === label) return;
    this.#button.ariaLabel = this.#button.title = label;
    this.#button.className = visible ? 'tool' : 'toggle-bar';
    this.#button.replaceChildren(icon(visible ? 'up' : 'down'));
    (visible ? this.#tools : this.#stage).append(this.#button);
  }
}
