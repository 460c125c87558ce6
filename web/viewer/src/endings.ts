//! What a closed connection means to a person, and whether to come back. Codes are those of the service's contract.

/** Why it is over, and whether trying again by hand makes sense. */
export interface Ending {
  readonly sentence: string;
  readonly again: boolean;
  /** The same as a word for programs, where the server gave one. */
  readonly reason?: string;
}

const over = (sentence: string): Ending => ({ sentence, again: false });

const ENDED = over('The session was ended.');
const LONGEST = over('The session reached its longest duration and was ended.');
const IDLE = over('The session was ended because nobody had used it for a while.');
const CRASHED = over('The browser of this session stopped unexpectedly.');
const OUT_OF_MEMORY = over('The browser of this session ran out of memory.');
const LOST = over('The machine that ran this session is gone.');

const BY_CODE = new Map<number, Ending>([
  [1000, ENDED],
  [1002, { sentence: 'The server did not understand this page. Reload it to get the current one.', again: true }],
  [1008, { sentence: 'The server closed this view because of what it was sent.', again: true }],
  [4001, LONGEST],
  [4002, IDLE],
  [4010, CRASHED],
  [4011, OUT_OF_MEMORY],
  [4012, LOST],
  [4401, over('Access through this link was taken back.')],
]);

const BY_REASON = new Map<string, Ending>([
  ['deleted', ENDED],
  ['closed_by_client', over('The session was ended by the program that drives it.')],
  ['max_duration', LONGEST],
  ['idle', IDLE],
  ['server_shutdown', over('The session was ended because its server is shutting down.')],
  ['browser_crashed', CRASHED],
  ['out_of_memory', OUT_OF_MEMORY],
  ['machine_lost', LOST],
  ['machine_restarted', LOST],
  ['process_lost', CRASHED],
  ['scheduling_failed', over('The session could not be started.')],
]);

/** Why a session is over, from the service's word for it. */
export function endingOfReason(reason: string): Ending {
  return { ...(BY_REASON.get(reason) ?? over('This session is over.')), reason };
}

/** Null when the page should connect again by itself. */
export function endingOfClose(code: number, reason: string): Ending | null {
  const known = BY_REASON.get(reason) ?? BY_CODE.get(code);
  if (known) return reason ? { ...known, reason } : known;
  return code >= 4000
    ? { sentence: reason ? `The view was closed: ${reason}` : 'The view was closed.', again: true, reason }
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
