//! What a call can fail with: a closed set of codes, and the way from an answer of the page to one of them. Our page
//! sends the code; of a page that sends only words, the words decide.

import type { BrowserBoxErrorCode, ErrorParts } from './api.ts';

const RETRIABLE: ReadonlySet<BrowserBoxErrorCode> = new Set(['ERR_NOT_READY', 'ERR_TIMEOUT', 'ERR_TRANSPORT']);
const CODES: ReadonlySet<unknown> = new Set<BrowserBoxErrorCode>([
  'ERR_NOT_READY',
  'ERR_POLICY_DENIED',
  'ERR_TIMEOUT',
  'ERR_TRANSPORT',
  'ERR_UNSUPPORTED',
  'ERR_INVALID_ARGUMENT',
  'ERR_NOT_FOUND',
  'ERR_CONFLICT',
  'ERR_INTERNAL',
]);

/** In the order in which they are looked for. */
const WORDS: readonly (readonly [RegExp, BrowserBoxErrorCode])[] = [
  [/timed out/, 'ERR_TIMEOUT'],
  [/not ready|selection is already active/, 'ERR_NOT_READY'],
  [/already exists/, 'ERR_CONFLICT'],
  [/unknown api method|no legacy fallback/, 'ERR_UNSUPPORTED'],
  [
    /requires (a non-empty|an object|target\.selector|selection\.selector|data\.method|payload)/,
    'ERR_INVALID_ARGUMENT',
  ],
  [/does not exist|no target tab|no active tab/, 'ERR_NOT_FOUND'],
  [/does not support/, 'ERR_UNSUPPORTED'],
  [/disconnected|iframe/, 'ERR_TRANSPORT'],
];

export class BrowserBoxError extends Error {
  override readonly name: string = 'BrowserBoxError';
  readonly code: BrowserBoxErrorCode;
  readonly status: number | undefined;
  readonly retriable: boolean;

  constructor(code: BrowserBoxErrorCode, message: string, { status, retriable }: ErrorParts = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.retriable = retriable ?? RETRIABLE.has(code);
  }

  toJSON() {
    const { name, code, message, status, retriable } = this;
    return { name, code, message, ...(status === undefined ? {} : { status }), retriable };
  }
}

export class BrowserBoxPolicyError extends BrowserBoxError {
  override readonly name: string = 'BrowserBoxPolicyError';

  constructor(message: string, { status = 403 }: ErrorParts = {}) {
    super('ERR_POLICY_DENIED', message, { status, retriable: false });
  }
}

/** What an answer of the page failed with. */
export function errorOf(answer: {
  readonly error?: unknown;
  readonly code?: unknown;
  readonly status?: unknown;
  readonly retriable?: unknown;
}): BrowserBoxError {
  const message = typeof answer.error === 'string' ? answer.error : 'the page gave no reason';
  const words = message.toLowerCase();
  const code = CODES.has(answer.code)
    ? (answer.code as BrowserBoxErrorCode)
    : (WORDS.find(([pattern]) => pattern.test(words))?.[1] ?? 'ERR_INTERNAL');
  const status = typeof answer.status === 'number' ? answer.status : undefined;
  if (code === 'ERR_POLICY_DENIED') return new BrowserBoxPolicyError(message, { status });
  const retriable = typeof answer.retriable === 'boolean' ? answer.retriable : undefined;
  return new BrowserBoxError(code, message, { status, retriable });
}

/** Whatever was thrown, as one of ours. */
export function errorFrom(thrown: unknown): BrowserBoxError {
  if (thrown instanceof BrowserBoxError) return thrown;
  return new BrowserBoxError('ERR_INTERNAL', thrown instanceof Error ? thrown.message : String(thrown));
}
