//! What a program may ask for by name: the machine's methods, and those that only this page can answer, because they are about
//! the picture, the controls around it, or the person before it.

import { denied, failed } from './failure.ts';
import type { Calls } from './calls.ts';

/** One that is answered here; `needs` is the capability that the policy has to allow. */
export interface OwnMethod {
  readonly needs?: string;
  run(args: readonly unknown[]): unknown;
}

export interface MethodsSetup {
  readonly calls: Calls;
  readonly own: ReadonlyMap<string, OwnMethod>;
  /** Adds what only this page knows to what the machine has answered. */
  completed(method: string, args: readonly unknown[], value: unknown): unknown;
}

const NAME_CHARS_MAX = 64;

export class Methods {
  /** As the server issued it; null until it has. */
  policy: unknown = null;
  readonly #setup: MethodsSetup;
  #machine = new Set<string>();

  constructor(setup: MethodsSetup) {
    this.#setup = setup;
  }

  update(policy: unknown, machine: readonly string[]): void {
    this.policy = policy;
    this.#machine = new Set(machine);
  }

  get names(): string[] {
    return [...new Set([...this.#machine, ...this.#setup.own.keys()])];
  }

  /** Rejects with a `CallFailed`. */
  async run(method: string, args: readonly unknown[], callId?: string): Promise<unknown> {
    const own = this.#setup.own.get(method);
    if (own) {
      if (own.needs && !allows(this.policy, own.needs)) throw denied(own.needs);
      return own.run(args);
    }
    // Before the machine has said what it offers, it answers for itself.
    const unknown = this.#machine.size > 0 && !this.#machine.has(method);
    // These are between this page and the machine.
    if (unknown || method.startsWith('page.'))
      throw failed('ERR_UNSUPPORTED', `unknown api method ${method.slice(0, NAME_CHARS_MAX)}`);
    return this.#setup.completed(method, args, await this.#setup.calls.make(method, args, callId));
  }
}

/** Whether a policy's snapshot allows `group.name`; what it does not name, it leaves open. */
function allows(policy: unknown, capability: string): boolean {
  const [group = '', name = ''] = capability.split('.');
  const { apiCapabilities } = (policy ?? {}) as { apiCapabilities?: Record<string, Record<string, unknown>> };
  return apiCapabilities?.[group]?.[name] !== false;
}
