//! What the embedder's element says, and how it is answered: the newer calls by name and the older messages for each command.

import { anything, list, object, optional, text } from '../schema.ts';
import { failed, failureOf } from './failure.ts';
import type { Methods } from './methods.ts';
import type { Envelope } from './parent.ts';
import type { EmbedTab } from './tabs.ts';

export interface RpcSetup {
  readonly methods: Methods;
  /** As last told by the machine. */
  tabs(): readonly EmbedTab[];
  tell(message: object): void;
  /** Answers `init`. */
  greet(): void;
  synchronize(data: unknown): void;
  resetViewport(): void;
}

/** Clients wait this long for an answer to these questions; before it is over, what was last known is answered. */
const PROMPT_MS = 80;

const isNamed = object({ method: text });
const isCall = object({ method: text, args: optional(list(anything)), callId: optional(text) });

/** Messages of older clients, as the method and the arguments that they stand for. */
type Command = (message: Envelope) => [method: string, args: readonly unknown[]];
const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['createTab', ({ data }) => ['createTab', [fieldOf(data, 'url')].filter(Boolean)]],
  ['closeTab', ({ tabId }) => (tabId === undefined ? ['closeTab', []] : ['closeTabById', [tabId]])],
  ['setActiveTab', ({ tabId }) => ['switchToTabById', [tabId]]],
  ['loadURL', ({ tabId, data }) => ['navigateTo', [fieldOf(data, 'url'), ...inTab(tabId)]]],
  ['reload', ({ tabId }) => ['reload', inTab(tabId)]],
  ['goBack', ({ tabId }) => ['goBack', inTab(tabId)]],
  ['goForward', ({ tabId }) => ['goForward', inTab(tabId)]],
  ['stop', ({ tabId }) => ['stop', inTab(tabId)]],
]);

function fieldOf(data: unknown, name: string): unknown {
  return (data as Readonly<Record<string, unknown>> | null | undefined)?.[name];
}

/** What was left out at the end is no argument. */
function given(args: readonly unknown[]): readonly unknown[] {
  return args.slice(0, args.findLastIndex((argument) => argument !== undefined) + 1);
}

function inTab(tabId: unknown): readonly unknown[] {
  return tabId === undefined ? [] : [{ tabId }];
}

export class Rpc {
  readonly #setup: RpcSetup;

  constructor(setup: RpcSetup) {
    this.#setup = setup;
  }

  hear(message: Envelope): void {
    const { methods } = this.#setup;
    switch (message.type) {
      case 'init':
        this.#setup.greet();
        break;
      case 'bbx-mid-sync':
        this.#setup.tell({ type: 'bbx-mid-ack', data: { mid: fieldOf(message.data, 'mid') } });
        break;
      case 'bbx-ui-sync':
        this.#setup.synchronize(message.data);
        this.#setup.tell({ type: 'bbx-ui-ack', data: {} });
        break;
      case 'bbx-viewport-reset':
        this.#setup.resetViewport();
        break;
      case 'bbx-api-call':
        void this.#answer(message, async () => this.#call(message.data));
        break;
      case 'bbx-api-list':
        void this.#answer(message, async () => methods.names);
        break;
      case 'getTabs':
        void this.#answer(message, () => this.#promptly('getTabs', (tabs) => tabs));
        break;
      case 'getActiveTab':
        void this.#answer(message, () =>
          this.#promptly('getActiveTab', (tabs) => tabs.find(({ active }) => active) ?? null),
        );
        break;
      case 'getTabCount':
        void this.#answer(message, () => this.#promptly('getTabCount', (tabs) => tabs.length));
        break;
      default: {
        const command = COMMANDS.get(message.type);
        if (command) void this.#answer(message, () => methods.run(...command(message)));
      }
    }
  }

  async #call(data: unknown): Promise<unknown> {
    if (typeof data !== 'object' || data === null)
      throw failed('ERR_INVALID_ARGUMENT', 'bbx-api-call requires payload');
    if (!isNamed(data) || !data.method) throw failed('ERR_INVALID_ARGUMENT', 'bbx-api-call requires data.method');
    if (!isCall(data)) throw failed('ERR_INVALID_ARGUMENT', 'bbx-api-call requires an object whose args are a list');
    return this.#setup.methods.run(data.method, given(data.args ?? []), data.callId);
  }

  /** What the machine says, if it says it soon; what it said before otherwise. */
  async #promptly(method: string, known: (tabs: readonly EmbedTab[]) => unknown): Promise<unknown> {
    const { methods, tabs } = this.#setup;
    const late = new Promise((resolve) => setTimeout(() => resolve(known(tabs())), PROMPT_MS));
    return Promise.race([methods.run(method, []), late]);
  }

  /** A message without a number is done all the same; nobody waits for how it went. */
  async #answer({ requestId }: Envelope, work: () => Promise<unknown>): Promise<void> {
    let answer;
    try {
      answer = { data: await work() };
    } catch (error) {
      const { message, code, status, retriable } = failureOf(error);
      answer = { error: message, code, status, retriable };
    }
    if (requestId !== undefined) this.#setup.tell({ type: 'bbx-api-result', requestId, ...answer });
  }
}
