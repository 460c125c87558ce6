//! Keys that a browser takes for itself, taken for the session's: they never reach a page in a browser of one's own either.

import { ALT, APPLE, CONTROL, modifiersOf, SHIFT } from '../modifiers.ts';

export interface ShortcutActions {
  address(): void;
  reload(hard: boolean): void;
  back(): void;
  forward(): void;
  newTab(): void;
  closeTab(): void;
  stepTab(by: 1 | -1): void;
  zoom(by: 1 | 0 | -1): void;
}

/** What a combination does; null when it is the page's. */
export function shortcut(event: KeyboardEvent, actions: ShortcutActions): (() => void) | null {
  const { key } = event;
  const lower = key.length === 1 ? key.toLowerCase() : key;
  const modifiers = modifiersOf(event, key);
  // With Shift, some layouts have plus and equals on the same key.
  if ((modifiers & ~SHIFT) === CONTROL && (key === '+' || key === '=')) return () => actions.zoom(1);
  switch (`${modifiers} ${lower}`) {
    case `${CONTROL} l`:
    case `${ALT} d`:
    case '0 F6':
      return () => actions.address();
    case `${CONTROL} r`:
    case '0 F5':
      return () => actions.reload(false);
    case `${CONTROL | SHIFT} r`:
    case `${CONTROL} F5`:
    case `${SHIFT} F5`:
      return () => actions.reload(true);
    case APPLE ? `${CONTROL} [` : `${ALT} ArrowLeft`:
      return () => actions.back();
    case APPLE ? `${CONTROL} ]` : `${ALT} ArrowRight`:
      return () => actions.forward();
    case `${CONTROL} t`:
      return () => actions.newTab();
    case `${CONTROL} w`:
      return () => actions.closeTab();
    case `${CONTROL} Tab`:
    case `${CONTROL} PageDown`:
      return () => actions.stepTab(1);
    case `${CONTROL | SHIFT} Tab`:
    case `${CONTROL} PageUp`:
      return () => actions.stepTab(-1);
    case `${CONTROL} -`:
      return () => actions.zoom(-1);
    case `${CONTROL} 0`:
      return () => actions.zoom(0);
    default:
      return null;
  }
}
