//! The page's way in, taken out of the address before anything else runs: this module comes first in the bundle. It works once,
//! and nothing that is loaded later, copies the address or looks at the history finds it.

/** The one-time token of the address; null when the page was loaded again. */
export const entry: string | null = new URLSearchParams(location.hash.slice(1)).get('entry');

history.replaceState(history.state, '', location.pathname + location.search);
