//! What a closed connection means to a person, and whether to come back. Codes are those of the service's contract.

/** Why it is over, and whether trying again by hand makes sense. */
export interface Ending {
  readonly sentence: string;
  readonly again: boolean;
}

const over = (sentence: string): Ending => ({ sentence, again: false });

const BY_CODE = new Map<number, Ending>([
  [1000, over('The session was ended.')],
  [1002, { sentence: 'The server did not understand this page. Reload it to get the current one.', again: true }],
  [1008, { sentence: 'The server closed this view because of what it was sent.', again: true }],
  [4001, over('The session reached its longest duration and was ended.')],
  [4002, over('The session was ended because nobody had used it for a while.')],
  [4010, over('The browser of this session stopped unexpectedly.')],
  [4011, over('The browser of this session ran out of memory.')],
  [4012, over('The machine that ran this session is gone.')],
  [4401, over('Access through this link was taken back.')],
]);

const BY_REASON = new Map<string, Ending>([
  ['closed_by_client', over('The session was ended by the program that drives it.')],
  ['server_shutdown', over('The session was ended because its server is shutting down.')],
]);

/** Null when the page should connect again by itself. */
export function endingOfClose(code: number, reason: string): Ending | null {
  const known = BY_REASON.get(reason) ?? BY_CODE.get(code);
  if (known) return known;
  return code >= 4000
    ? { sentence: reason ? `The view was closed: ${reason}` : 'The view was closed.', again: true }
    : null;
}

/** The same for the HTTP status with which the session answers when a connection could not even be made. */
export function endingOfStatus(status: number): Ending | null {
  switch (status) {
    case 401:
    case 403:
      return over('This link has expired or was taken back. Ask for a new one.');
    case 404:
    case 409:
    case 410:
      return over('This session is over.');
    default:
      return null;
  }
}
