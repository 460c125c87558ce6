//! What may be called: what the server granted, further restricted by the embedder's attributes. The server enforces
//! its part whatever is decided here; this part saves the way and keeps an embedder's own scripts within what the
//! embedder meant.

import type { Capabilities, Capability, PolicySnapshot } from './api.ts';

const NAMES: Readonly<Record<string, readonly string[]>> = {
  tabs: ['read', 'write'],
  page: ['read', 'navigate'],
  act: ['navigate', 'click', 'type', 'evaluate', 'wait'],
  events: ['read'],
  policy: ['read'],
  modals: ['read', 'respond'],
  augment: ['read', 'write', 'page', 'viewport', 'chrome', 'session'],
  capture: ['frame', 'viewport'],
  select: ['use', 'extract'],
};

/** Off until the embedder opens them. */
const GATED: ReadonlySet<string> = new Set(['augment', 'capture', 'select']);

const NEEDS: readonly (readonly [Capability, string])[] = [
  [
    'tabs.read',
    'getTabs getTabCount getActiveTab getActiveTabIndex waitForTabCount waitForTabUrl getFavicons waitForNonDefaultFavicon',
  ],
  ['tabs.write', 'createTab createTabs closeTab closeTabById closeAllTabs switchToTab switchToTabById cleanSlate'],
  ['page.read', 'getPageText getPageUrl getPageTitle getPageFavicon getScreenMetrics resolvePageTarget'],
  ['page.navigate', 'navigateTo navigateTab submitOmnibox reload goBack goForward stop'],
  ['act.click', 'click'],
  ['act.type', 'type'],
  ['act.evaluate', 'evaluate'],
  ['act.wait', 'waitForSelector waitForNavigation'],
  ['policy.read', 'getPolicy'],
  ['modals.read', 'getCurrentModal'],
  ['modals.respond', 'respondToModal dismissModal'],
  ['capture.frame', 'captureFrame getFrame'],
  ['select.use', 'beginSelect cancelSelect'],
  ['select.extract', 'generalizeSelection extractSelection'],
];
const NEED_OF = new Map(
  NEEDS.flatMap(([need, methods]) => methods.split(' ').map((method) => [method, need] as const)),
);

/** What a method needs; null when it is not governed by the policy. */
export function needOf(method: string, args: readonly unknown[]): Capability | null {
  const [options] = args;
  if (method === 'captureFrame' && isRecord(options) && options['scope'] === 'viewport') return 'capture.viewport';
  return NEED_OF.get(method) ?? null;
}

export interface Restrictions {
  /** The text of the attribute `policy`. */
  readonly policy: string | null;
  readonly capture: string | null;
  readonly mode: string | null;
}

/** What both sides allow. A policy attribute that cannot be read allows nothing: it meant to restrict something. */
export function merge(server: PolicySnapshot | null, local: Restrictions): PolicySnapshot {
  const tree = readTree(local.policy);
  const capabilities: Capabilities = {};
  for (const [group, names] of Object.entries(NAMES)) {
    const granted: Record<string, boolean> = {};
    for (const name of names) {
      granted[name] =
        allowedBy(server?.apiCapabilities, group, name, true) && tree !== null && opened(tree, local, group, name);
    }
    capabilities[group] = granted;
  }
  return { ...(server ?? LOCAL), apiCapabilities: capabilities };
}

const LOCAL = {
  schemaVersion: 1,
  policyProfile: 'local',
  policyId: null,
  baselineId: null,
  policyVersion: 0,
  issuedAt: null,
  updatedAt: null,
} as const;

function opened(tree: Tree, { capture, mode }: Restrictions, group: string, name: string): boolean {
  if (mode === 'limited' || mode === 'view-only') {
    if (group === 'tabs' && name === 'write') return false;
    if (group === 'act' && (name === 'evaluate' || mode === 'view-only')) return false;
    if (group === 'page' && name === 'navigate' && mode === 'view-only') return false;
  }
  if (group === 'capture' && capture === 'off') return false;
  const written = capture === 'snapshot' || capture === 'sampled';
  const unsaid = !GATED.has(group) || mode === 'full' || (group === 'capture' && written);
  return allowedBy(tree, group, name, unsaid);
}

type Tree = Readonly<Record<string, unknown>>;

function readTree(text: string | null): Tree | null {
  if (text === null || text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (!isRecord(value)) return null;
    const inner = value['apiCapabilities'];
    return isRecord(inner) ? inner : value;
  } catch {
    return null;
  }
}

/** A group is a boolean for all its names, or says each; `unsaid` is for those it does not. */
function allowedBy(tree: unknown, group: string, name: string, unsaid: boolean): boolean {
  const part = isRecord(tree) ? tree[group] : undefined;
  const value = isRecord(part) ? part[name] : part;
  return typeof value === 'boolean' ? value : unsaid;
}

export function allows(snapshot: PolicySnapshot, need: Capability): boolean {
  const [group = '', name = ''] = need.split('.');
  return snapshot.apiCapabilities[group]?.[name] === true;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
