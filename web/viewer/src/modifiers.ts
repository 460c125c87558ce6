//! Which modifier keys count, as the protocol numbers them. A Mac's Command is the page's Control: the page runs on Linux.

export const ALT = 1;
export const CONTROL = 2;
export const META = 4;
export const SHIFT = 8;

export const APPLE = /Mac|iP(hone|ad|od)/.test(navigator.platform);

interface Held {
  readonly altKey: boolean;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly shiftKey: boolean;
}

export function modifiersOf({ altKey, ctrlKey, metaKey, shiftKey }: Held): number {
  const control = ctrlKey || (APPLE && metaKey);
  const meta = metaKey && !APPLE;
  return (altKey ? ALT : 0) | (control ? CONTROL : 0) | (meta ? META : 0) | (shiftKey ? SHIFT : 0);
}
