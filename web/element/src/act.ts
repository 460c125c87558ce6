//! `act`: one object that names an action and what it needs.

import type { Action, ActionResult } from './api.ts';
import { BrowserBoxError } from './errors.ts';
import { isRecord } from './policy.ts';

interface Step {
  readonly method: string;
  /** What the action takes as its text, in the order of the method's arguments. */
  readonly texts: readonly string[];
}

const STEPS: Readonly<Record<string, Step>> = {
  navigate: { method: 'navigateTo', texts: ['url'] },
  click: { method: 'click', texts: ['selector'] },
  type: { method: 'type', texts: ['selector', 'text'] },
  evaluate: { method: 'evaluate', texts: ['expression'] },
  waitForSelector: { method: 'waitForSelector', texts: ['selector'] },
  waitForNavigation: { method: 'waitForNavigation', texts: [] },
};

/** What to call for an action, and with what. */
export function stepOf(action: Action): { readonly action: string; readonly method: string; readonly args: unknown[] } {
  const entries = isRecord(action) ? Object.entries(action).filter(([, value]) => value !== undefined) : [];
  const [name, value] = entries[0] ?? [];
  const step = name !== undefined && Object.hasOwn(STEPS, name) ? STEPS[name] : undefined;
  if (name === undefined || !step || entries.length !== 1)
    throw new BrowserBoxError(
      'ERR_INVALID_ARGUMENT',
      `act requires an object with one of ${Object.keys(STEPS).join(', ')}`,
    );
  const given = isRecord(value) ? { ...value } : step.texts.length === 1 ? { [step.texts[0] ?? '']: value } : {};
  const args: unknown[] = step.texts.map((text) => {
    const word = given[text];
    if (typeof word !== 'string' || (word === '' && text !== 'text'))
      throw new BrowserBoxError('ERR_INVALID_ARGUMENT', `act ${name} requires a non-empty ${text}`);
    delete given[text];
    return word;
  });
  if (Object.keys(given).length > 0) args.push(given);
  return { action: name, method: step.method, args };
}

export function resultOf(action: string, answer: unknown): ActionResult {
  return { ok: true, action, value: valueOf(answer) };
}

/** The value in an answer that wraps it, as `{result: {type, value}}` or `{result: true}`. */
export function valueOf(answer: unknown): unknown {
  if (!isRecord(answer) || !('result' in answer)) return answer;
  const { result } = answer;
  return isRecord(result) && 'type' in result ? result['value'] : result;
}
