//! Names that nobody guesses and no two elements share, also on pages that are no secure context (no `randomUUID`
//! there).

const BYTES = 12;

export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(BYTES)), (byte) => byte.toString(16).padStart(2, '0')).join(
    '',
  );
}
