// A whole server as the terminal page meets it: the page under a path prefix with the real content policy, tickets, and the
// WebSocket of terminals. Tests script what a terminal prints and look at what was typed.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocketServer } from 'ws';

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const TYPES = { html: 'text/html; charset=utf-8', js: 'text/javascript', css: 'text/css' };
const HELD_MS = 15_000;
const dist = new URL('../dist/', import.meta.url);

export const SESSION = 'abcdefghijklmnopqrstuvwxyz012345';
export const TOKEN = 'secret.token';

/** What a program printed, and who looks at it. */
class Terminal {
  output = Buffer.alloc(0);
  /** Bytes before this one are no longer remembered. */
  from = 0;
  clients = new Set();
}

export class Server {
  terminals = new Map();
  /** Sizes that were told, bytes that were typed, offsets that connections asked for. */
  sizes = [];
  typed = '';
  offsets = [];
  /** An HTTP status with which tickets are refused. */
  refusal = null;
  /** What the sandbox is, which the refusal says. */
  status = undefined;
  #next = 1;
  #tickets = new Map();
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
    server.page = `${server.origin}${prefix}/t/${SESSION}#token=${TOKEN}`;
    return server;
  }

  async stop() {
    this.hangUp();
    this.#http.closeAllConnections();
    this.#http.close();
    await once(this.#http, 'close');
  }

  print(id, text) {
    const terminal = this.terminals.get(id);
    const output = Buffer.from(text);
    terminal.output = Buffer.concat([terminal.output, output]);
    terminal.clients.forEach((client) => client.send(output));
  }

  exit(id, code) {
    const terminal = this.terminals.get(id);
    this.terminals.delete(id);
    for (const client of terminal.clients) {
      client.send(JSON.stringify({ type: 'exit', code }));
      client.close(1000);
    }
  }

  close(id, code, reason) {
    this.terminals.get(id).clients.forEach((client) => client.close(code, reason));
  }

  /** As when a machine vanishes. */
  hangUp() {
    this.terminals.forEach(({ clients }) => clients.forEach((client) => client.terminate()));
  }

  /** Waits until something is so. */
  async until(what, holds) {
    const deadline = Date.now() + HELD_MS;
    while (!(await holds())) {
      if (Date.now() > deadline) throw new Error(`not within ${HELD_MS} ms: ${what}; typed ${JSON.stringify(this.typed)}`);
      await pause(20);
    }
  }

  connected(id) {
    return this.until(`a client of terminal ${id}`, () => this.terminals.get(id)?.clients.size > 0);
  }

  #upgrade(request, socket, head) {
    const { pathname, searchParams } = new URL(request.url, this.origin);
    const id = this.#tickets.get(searchParams.get('token'));
    this.#tickets.delete(searchParams.get('token'));
    const terminal = pathname === `${this.prefix}/t/${SESSION}/ws` && this.terminals.get(id);
    if (!terminal) {
      socket.end('HTTP/1.1 401 Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (client) => {
      const asked = Number(searchParams.get('offset'));
      this.offsets.push(asked);
      const offset = Math.max(asked, terminal.from);
      client.send(JSON.stringify({ type: 'offset', offset, live: terminal.output.length }));
      if (offset < terminal.output.length) client.send(terminal.output.subarray(offset));
      terminal.clients.add(client);
      client.on('close', () => terminal.clients.delete(client));
      client.on('message', (data, binary) => {
        if (binary) this.typed += data.toString();
        else this.sizes.push(JSON.parse(data.toString()));
      });
    });
  }

  async #answer(request, response) {
    const { pathname } = new URL(request.url, this.origin);
    const path = pathname.slice(this.prefix.length);
    const asset = path.match(/^\/t\/assets\/1234\/(terminal\.(?:js|css))$/)?.[1];
    if (path === `/t/${SESSION}`) {
      const page = await readFile(new URL('index.html', dist), 'utf8');
      response.setHeader('Content-Security-Policy', POLICY);
      response.setHeader('Content-Type', TYPES.html);
      response.end(page.replaceAll('__HASH__', '1234'));
    } else if (asset) {
      response.setHeader('Content-Type', TYPES[asset.split('.')[1]]);
      response.end(await readFile(new URL(asset, dist)));
    } else if (path === `/t/${SESSION}/ticket` && request.method === 'POST') {
      this.#ticket(request, response, JSON.parse(Buffer.concat(await request.toArray()).toString()));
    } else {
      response.writeHead(404).end();
    }
  }

  #ticket(request, response, { terminalId, cols, rows }) {
    const answer = (status, body) =>
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
    if (this.refusal || request.headers.authorization !== `Bearer ${TOKEN}`)
      return answer(this.refusal ?? 401, { error: 'no', status: this.status });
    if (terminalId !== undefined && !this.terminals.has(terminalId)) return answer(404, { error: 'no such terminal' });
    const id = terminalId ?? this.#next++;
    if (terminalId === undefined) {
      this.terminals.set(id, new Terminal());
      this.sizes.push({ type: 'opened', cols, rows });
    }
    const token = `once-${Math.random()}`;
    this.#tickets.set(token, id);
    return answer(200, { token, terminalId: id });
  }
}
