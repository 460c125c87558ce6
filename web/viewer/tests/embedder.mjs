// A page of somebody else's, on another origin, that frames the session's page and talks with it as an element does.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before } from 'node:test';
import { load, page, server } from './page.mjs';

const PAGE = (source, attributes) => `<!doctype html><title>Embedder</title>
<body style="margin: 0"><script>(${talk})()</script><iframe src="${source}" ${attributes}></iframe>`;

/** The page that frames; `http` on another name than the server's, so that the two are of different sites. */
let http;
let html = '';

before(async () => {
  http = createServer((_, response) => response.writeHead(200, { 'Content-Type': 'text/html' }).end(html));
  http.listen(0, 'localhost');
  await once(http, 'listening');
});
after(() => {
  http.closeAllConnections();
  http.close();
});

/** Runs in the embedder's page. */
function talk() {
  globalThis.heard = [];
  globalThis.frame = () => document.querySelector('iframe').contentWindow;
  let number = 0;
  const waiting = new Map();
  addEventListener('message', ({ data, source, origin }) => {
    if (source !== globalThis.frame()) return;
    globalThis.heard.push({ ...data, origin });
    waiting.get(data.requestId)?.(data);
  });
  globalThis.tell = (message, to = '*') => globalThis.frame().postMessage(message, to);
  globalThis.ask = (type, more) =>
    new Promise((resolve) => {
      number += 1;
      waiting.set(`r${number}`, resolve);
      globalThis.tell({ type, requestId: `r${number}`, ...more });
    });
  globalThis.call = (method, args = [], more = {}) =>
    globalThis.ask('bbx-api-call', { data: { method, args, ...more } });
}

/** Loads the embedder's page with the session's in its frame. */
export async function embed({ query = '', attributes = 'width="800" height="500"', ...options } = {}) {
  html = PAGE(`${server.origin}${server.prefix}/login?token=t&mid=m${query}`, attributes);
  const address = `http://localhost:${http.address().port}/`;
  await load({ address, ...options });
}

/** The same, until both ends have found each other. */
export async function open(options) {
  await embed(options);
  await server.take('start');
  await page.evaluate(() => globalThis.tell({ type: 'init' }));
  await heard('tab-api-ready');
}

export function inside() {
  return page.frames()[1];
}

export async function tell(message) {
  await page.evaluate((message) => globalThis.tell(message), message);
}

/** The first message of a type that was heard and not taken yet. */
export async function heard(type) {
  const found = await page.waitForFunction((type) => {
    const at = globalThis.heard.findIndex((message) => message.type === type);
    return at >= 0 && { message: globalThis.heard.splice(at, 1)[0] };
  }, type);
  return (await found.jsonValue()).message;
}

export function count(type) {
  return page.evaluate((type) => globalThis.heard.filter((message) => message.type === type).length, type);
}

/** The whole answer. */
export function ask(type, more) {
  return page.evaluate(([type, more]) => globalThis.ask(type, more), [type, more]);
}

export function call(method, args, more) {
  return page.evaluate(([method, args, more]) => globalThis.call(method, args, more), [method, args, more]);
}
