//! How long and how often. Tests shorten them; a page has no reason to.

export interface Timings {
  /** Between two of `init`, and of the routing id, until they are answered. */
  tickMs: number;
  /** Unanswered `init` after which the iframe is loaded again. */
  initsBeforeReload: number;
  reloads: number;
  /** The delay before a reload grows by this much each time, up to the most. */
  reloadStepMs: number;
  reloadMostMs: number;
  midAttempts: number;
  /** How often a call that failed for a passing reason is made, and what the delay between grows by. */
  tries: number;
  retryStepMs: number;
  /** How long a page that has said only `tab-api-ready` has to answer a modern call. */
  probeMs: number;
}

export const TIMINGS: Timings = {
  tickMs: 1000,
  initsBeforeReload: 30,
  reloads: 5,
  reloadStepMs: 2000,
  reloadMostMs: 8000,
  midAttempts: 90,
  tries: 3,
  retryStepMs: 300,
  probeMs: 1500,
};

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
