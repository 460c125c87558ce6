//! What every part of the chrome may use of the rest.

import type { Host } from '../host.ts';
import type { ViewerMessage } from '../protocol.ts';
import type { View } from '../view.ts';

export interface Context {
  readonly host: Host;
  readonly view: View;
  /** Sends what needs control. */
  act(message: ViewerMessage): void;
  /** Sends what anybody may send. */
  ask(message: ViewerMessage): void;
  /** Tells the person something, perhaps with something to do about it. */
  say(sentence: string, action?: { readonly label: string; run(): void }): void;
  /** Gives the keyboard back to the page. */
  toPage(): void;
}
