//! Why a call failed, in the vocabulary that programs know. Some of them read only the text and tell kinds apart by its words
//! (`timed out`, `not ready`, `requires …`, `unknown api method`), so texts and codes are made to agree.

export type Code =
  | 'ERR_NOT_READY'
  | 'ERR_POLICY_DENIED'
  | 'ERR_TIMEOUT'
  | 'ERR_TRANSPORT'
  | 'ERR_UNSUPPORTED'
  | 'ERR_INVALID_ARGUMENT'
  | 'ERR_INTERNAL';

export interface Failure {
  readonly message: string;
  readonly code: string;
  readonly status?: number | undefined;
  readonly retriable: boolean;
}

export class CallFailed extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.message);
    this.failure = failure;
  }
}

export function failed(code: Code, message: string, more: { status?: number; retriable?: boolean } = {}): CallFailed {
  return new CallFailed({ message, code, retriable: false, ...more });
}

export function denied(capability: string): CallFailed {
  return failed('ERR_POLICY_DENIED', `the policy of this session does not allow ${capability}`, { status: 403 });
}

export function failureOf(error: unknown): Failure {
  if (error instanceof CallFailed) return error.failure;
  return { message: 'something went wrong in the page', code: 'ERR_INTERNAL', retriable: false };
}
