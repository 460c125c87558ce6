// A whole server as the viewer page meets it: the page under a path prefix with the real content policy, the WebSocket of
// the live view, and the session's files; the same for the page that embedders frame, with its way in and its calls. Tests
// script what it says and look at what it was told.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';
import { Embedding } from './embedding.mjs';
import { isViewerMessage } from '../src/protocol.ts';

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors ";
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript', css: 'text/css' };
const HELD_MS = 15_000;
const dist = new URL('../dist/', import.meta.url);

export const SESSION = 'abcdefghijklmnopqrstuvwxyz012345';
export const TOKEN = 'secret.token';

/** The three access units of colours.h264 (red, lime, blue), each after its delimiter; the first is a key picture. */
export async function colours() {
  const stream = await readFile(new URL('colours.h264', import.meta.url));
  const delimiter = Buffer.from([0, 0, 0, 1, 9]);
  const starts = [];
  for (let at = stream.indexOf(delimiter); at >= 0; at = stream.indexOf(delimiter, at + 1)) starts.push(at);
  return starts.map((start, index) => stream.subarray(start, starts[index + 1]));
}

export function picture({ coding, key = true, sequence, at = sequence * 40_000, width = 320, height = 180, data }) {
  const header = Buffer.alloc(20);
  header.set([1, coding === 'h264' ? 1 : 2, key ? 1 : 0, 0]);
  header.writeUInt32BE(sequence, 4);
  header.writeBigUInt64BE(BigInt(at), 8);
  header.writeUInt16BE(width, 16);
  header.writeUInt16BE(height, 18);
  return Buffer.concat([header, data]);
}

export class Server {
  /** Messages of the viewer that is connected now, oldest first. */
  messages = [];
  files = new Map();
  /** What each new viewer is told first, after its `start`. */
  greeting = { mode: 'control', coding: undefined, tabs: undefined };
  /** An HTTP status with which handshakes are refused. */
  refusal = null;
  connections = 0;
  embedding = new Embedding();
  #socket = null;
  #waiters = [];
  #http;
  #sockets = new WebSocketServer({ noServer: true });

  static async start(prefix = '/some/prefix') {
    const server = new Server();
    server.prefix = prefix;
    server.#http = createServer((request, response) => void server.#answer(request, response));
    server.#http.on('upgrade', (request, socket, head) => server.#upgrade(request, socket, head));
    server.#http.listen(0, '127.0.0.1');
    await once(server.#http, 'listening');
    server.origin = `http://127.0.0.1:${server.#http.address().port}`;
    server.page = `${server.origin}${prefix}/view/${SESSION}#token=${TOKEN}`;
    return server;
  }

  async stop() {
    this.#socket?.terminate();
    this.#http.closeAllConnections();
    this.#http.close();
    await once(this.#http, 'close');
  }

  send(message) {
    this.#socket.send(message instanceof Uint8Array ? message : JSON.stringify(message));
  }

  close(code, reason) {
    this.#socket.close(code, reason);
  }

  /** As when a machine vanishes. */
  hangUp() {
    this.#socket.terminate();
  }

  /** The next message of a type that was not taken yet. */
  async take(type, matches = () => true) {
    const found = this.messages.findIndex((message) => message.type === type && matches(message));
    if (found >= 0) return this.messages.splice(found, 1)[0];
    const { promise, resolve, reject } = Promise.withResolvers();
    const late = setTimeout(
      () => reject(new Error(`no ${type} came; there is ${JSON.stringify(this.messages)}`)),
      HELD_MS,
    );
    this.#waiters.push({ type, matches, resolve });
    return promise.finally(() => clearTimeout(late));
  }

  forget() {
    this.messages = [];
  }

  #hear(json) {
    const message = JSON.parse(json);
    assert.ok(isViewerMessage(message), `not in the protocol: ${json}`);
    if (message.type === 'ping') this.send({ type: 'pong', at: message.at });
    if (message.type === 'start') this.#greet(message);
    if (message.type === 'call') this.embedding.answer(message, (result) => this.send(result));
    const waiter = this.#waiters.findIndex(({ type, matches }) => type === message.type && matches(message));
    if (waiter >= 0) this.#waiters.splice(waiter, 1)[0].resolve(message);
    else this.messages.push(message);
  }

  #greet(start) {
    const { mode, coding = start.codings[0], tabs = [tab()] } = this.greeting;
    this.send({ type: 'hello', version: 1, session: SESSION, mode, coding, viewers: 1 });
    if (this.embedded) this.send(this.embedding.policy);
    this.send({ type: 'tabs', active: tabs[0]?.id, tabs });
    this.send({ type: 'watching', tab: tabs[0]?.id });
    this.send({ type: 'viewport', tab: tabs[0]?.id, width: 640, height: 360, scale: 1, zoom: 1 });
  }

  #upgrade(request, socket, head) {
    const { pathname, searchParams } = new URL(request.url, this.origin);
    const token = searchParams.get('token');
    const embedded = pathname === `${this.prefix}/s/${SESSION}/ws` && this.embedding.tokens.has(token);
    const allowed = embedded || (pathname === `${this.prefix}/view/${SESSION}/ws` && token === TOKEN);
    if (this.refusal || !allowed) {
      socket.end(`HTTP/1.1 ${this.refusal ?? 401} Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (client) => {
      this.connections += 1;
      this.embedded = embedded;
      this.messages = [];
      this.#socket = client;
      client.on('message', (data) => this.#hear(data.toString()));
    });
  }

  async #answer(request, response) {
    const { pathname, searchParams } = new URL(request.url, this.origin);
    const path = pathname.slice(this.prefix.length);
    const asset = path.match(/^\/(?:view|s)\/assets\/1234\/((?:viewer|embed)\.(?:js|css))$/)?.[1];
    if (path === '/login') {
      this.embedding.login(response, `${this.prefix}/s/${SESSION}/`, searchParams.get('ui'));
    } else if (path === `/s/${SESSION}/`) {
      const page = await readFile(new URL('embed.html', dist), 'utf8');
      const framed = this.embedding.ancestors.join(' ');
      response.setHeader('Content-Security-Policy', `${POLICY}${framed}`);
      response.setHeader('Content-Type', TYPES.html);
      response.end(page.replaceAll('__HASH__', '1234'));
    } else if (path === `/s/${SESSION}/token`) {
      await this.embedding.trade(request, response);
    } else if (path === `/view/${SESSION}`) {
      const page = await readFile(new URL('index.html', dist), 'utf8');
      response.setHeader('Content-Security-Policy', `${POLICY}'none'`);
      response.setHeader('Content-Type', TYPES.html);
      response.end(page.replaceAll('__HASH__', '1234'));
    } else if (asset) {
      response.setHeader('Content-Type', TYPES[asset.split('.')[1]]);
      response.end(await readFile(new URL(asset, dist)));
    } else if (/^\/(?:view|s)\/\w+\/files/.test(path)) {
      await this.#file(request, response, path.endsWith('/raw') ? searchParams.get('path') : null);
    } else {
      response.writeHead(404).end();
    }
  }

  async #file(request, response, path) {
    const answer = (status, body) =>
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    const token = request.headers.authorization?.slice('Bearer '.length);
    if (this.refusal || (token !== TOKEN && !this.embedding.tokens.has(token)))
      return answer(this.refusal ?? 401, { error: 'no' });
    if (path === null) return answer(200, { files: [...this.files].map(([path, data]) => described(path, data)) });
    if (request.method === 'PUT') {
      const data = Buffer.concat(await request.toArray());
      if (data.length > 1000) return answer(413, { error: 'the file is larger than 1000 bytes' });
      this.files.set(path, data);
      return answer(201, { path, size: data.length, sha256: '', capsulePath: `/session/${path}` });
    }
    const data = this.files.get(path);
    return data
      ? response.writeHead(200, { 'Content-Length': data.length }).end(data)
      : answer(404, { error: 'there is no such file' });
  }
}

function described(path, data) {
  const [folder, name] = path.split('/');
  return { path, name, size: data.length, modifiedAt: 0, source: folder.slice(0, -1), state: 'completed' };
}

export function tab(more = {}) {
  const page = { id: 'T1', title: 'First page', url: 'https://example.com/first', loading: false };
  return { ...page, canGoBack: true, canGoForward: false, crashed: false, ...more };
}
