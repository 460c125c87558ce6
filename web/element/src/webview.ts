//! `<browserbox-webview>` and `<vitrine-webview>`: a remote browser in a page. Importing this registers both, once.

import { Webview } from './element.ts';

export { BrowserBoxError, BrowserBoxPolicyError } from './errors.ts';
export { Webview as BrowserBoxWebview };
export class VitrineWebview extends Webview {}

function define(name: string, element: CustomElementConstructor): void {
  if (!customElements.get(name)) customElements.define(name, element);
}

if (globalThis.customElements) {
  define('browserbox-webview', Webview);
  define('vitrine-webview', VitrineWebview);
}
