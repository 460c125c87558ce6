//! Which modifier keys count, as the protocol numbers them. A Mac's Command is the page's Control: the page runs on Linux.
//! Only where a caret moves or deletes does a Mac's keyboard mean something else than Linux's; the server knows those.

export const ALT = 1;
export const CONTROL = 2;
export const META = 4;
export const SHIFT = 8;

export const APPLE = /Mac|iP(hone|ad|od)/.test(navigator.platform);

/** What Command and Option do with these is a Mac's own. */
const CARET_KEY = /^(Arrow|Backspace$|Delete$)/;

interface Held {
  readonly altKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly shiftKey: boolean;
}

/** `key`: for a key's own event. */
export function modifiersOf({ altKey, ctrlKey, metaKey, shiftKey }: Held, key = ''): number {
  const translated = APPLE && !CARET_KEY.test(key);
  const control = ctrlKey || (translated && metaKey);
  const meta = metaKey && !translated;
  return (altKey ? ALT : 0) | (control ? CONTROL : 0) | (meta ? META : 0) | (shiftKey ? SHIFT : 0);
}
