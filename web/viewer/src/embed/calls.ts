//! Calls that the machine of the session answers. What has an effect has a name for it: after a lost connection, what was under
//! way is sent again under the same name, and the machine does it once.

import type { Received, Sent } from '../protocol.ts';
import { CallFailed, failed } from './failure.ts';

/** The machine remembers what it did for two minutes; a call that is older would be done again. */
const CALL_MAX_MS = 120_000;
const AT_ONCE_MAX = 64;
/** The server closes the connection of who sends more than 1 MiB; a little is for what is around the arguments. */
const MESSAGE_BYTES_MAX = 1024 * 1024 - 1024;
const CALL_ID_CHARS_MAX = 64;
/** These only read: to do them again is as good as to remember what they said. */
const READS = /^(get|waitFor|resolve|extract|generalize|captureFrame$|page\.)/;

interface Pending {
  readonly message: Sent<'call'>;
  readonly late: ReturnType<typeof setTimeout>;
  resolve(value: unknown): void;
  reject(error: CallFailed): void;
}

export class Calls {
  readonly #send: (message: Sent<'call'>) => void;
  #pending = new Map<string, Pending>();
  #made = 0;
  #connected = false;
  #over: CallFailed | null = null;

  constructor(send: (message: Sent<'call'>) => void) {
    this.#send = send;
  }

  /** Rejects with a `CallFailed`. While there is no connection, waits for one. `callId` names the effect. */
  async make(method: string, args: readonly unknown[], callId?: string): Promise<unknown> {
    if (this.#over) throw this.#over;
    if (this.#pending.size >= AT_ONCE_MAX) {
      const busy = `not ready for another call: ${AT_ONCE_MAX} are under way`;
      throw failed('ERR_NOT_READY', busy, { status: 429, retriable: true });
    }
    this.#made += 1;
    const id = `c${this.#made}`;
    const given = callId !== undefined && callId.length <= CALL_ID_CHARS_MAX ? callId : randomName();
    const name = READS.test(method) ? undefined : given;
    const message: Sent<'call'> = { type: 'call', id, callId: name, method, args: [...args] };
    refuseUnsendable(message);
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => this.#take(id)?.reject(tookTooLong(method)), CALL_MAX_MS);
      this.#pending.set(id, { message, late, resolve, reject });
      if (this.#connected) this.#send(message);
    });
  }

  settle({ id, value, error }: Received<'result'>): void {
    const pending = this.#take(id);
    if (error) pending?.reject(new CallFailed(error));
    else pending?.resolve(value ?? null);
  }

  connected(): void {
    this.#connected = true;
    this.#over = null;
    for (const { message } of this.#pending.values()) this.#send(message);
  }

  disconnected(): void {
    this.#connected = false;
  }

  /** The session is over: nothing is answered any more. */
  end(sentence: string): void {
    this.#connected = false;
    this.#over = failed('ERR_TRANSPORT', `disconnected: ${sentence}`);
    for (const id of [...this.#pending.keys()]) this.#take(id)?.reject(this.#over);
  }

  #take(id: string): Pending | undefined {
    const pending = this.#pending.get(id);
    this.#pending.delete(id);
    clearTimeout(pending?.late);
    return pending;
  }
}

/** Not `randomUUID`, which plain http does not have. */
function randomName(): string {
  return [...crypto.getRandomValues(new Uint32Array(4))].map((part) => part.toString(16)).join('-');
}

function tookTooLong(method: string): CallFailed {
  return failed('ERR_TIMEOUT', `${method} took longer than ${CALL_MAX_MS / 1000} s`);
}

/** What another window gives may hold itself, numbers without end, or more than can be sent. */
function refuseUnsendable(message: Sent<'call'>): void {
  let json;
  try {
    json = JSON.stringify(message);
  } catch {
    throw failed('ERR_INVALID_ARGUMENT', 'the call requires an object or value that JSON can hold');
  }
  const bytes = json.length > MESSAGE_BYTES_MAX ? json.length : new TextEncoder().encode(json).length;
  if (bytes > MESSAGE_BYTES_MAX)
    throw failed('ERR_INVALID_ARGUMENT', 'the call requires an object or value of less than 1 MiB');
}
