//! The session's tabs as embedders see them, from what the view was last told: for questions that have to be answered at once, also
//! while there is no connection.

import type { Received } from '../protocol.ts';

export interface EmbedTab {
  readonly id: string;
  readonly index: number;
  readonly active: boolean;
  readonly url: string;
  readonly title: string;
  readonly canGoBack: boolean;
  readonly canGoForward: boolean;
  readonly loading: boolean;
  readonly hasFavicon: boolean;
  readonly isDefaultFavicon: boolean;
  readonly faviconDataURI: string | null;
}

export function embedTabs({ active, tabs }: Received<'tabs'>): EmbedTab[] {
  return tabs.map(({ id, url, title, canGoBack, canGoForward, loading, favicon }, index) => ({
    id,
    index,
    active: id === active,
    url,
    title,
    canGoBack,
    canGoForward,
    loading,
    hasFavicon: favicon !== undefined,
    isDefaultFavicon: favicon === undefined,
    faviconDataURI: favicon ?? null,
  }));
}
