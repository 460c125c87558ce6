// Two whole servers as the element meets them: an embedder's page on one origin, and on another the login link and a
// session page that speaks the postMessage protocol. The page's side runs in the iframe (`session-page.js`) and is
// scripted by the tests.

import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';

const dist = new URL('../dist/', import.meta.url);
const here = new URL('./', import.meta.url);
const MID = '68365e2c721798';

const EMBEDDER = `<!doctype html><meta charset="utf-8"><title>Embedder</title>
<body></body>`;

/** As the server sends it with the demo page. */
const DEMO_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; frame-src http:; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export class Host {
  /** The visitor's session of the demo page, and what the page has asked for. */
  demo = null;
  demoRequests = [];
  demoRefusal = null;
  /** How the session page behaves: read by it when it starts. `modern`, `legacy`, `probe`, `silent`, `lost`, `deaf`. */
  kind = 'modern';
  /** Addresses of the login page that were asked for, oldest first. */
  logins = [];
  #servers = [];

  static async start() {
    const host = new Host();
    host.embedder = await host.#listen((request, response) => host.#embed(request, response));
    host.session = await host.#listen((request, response) => host.#login(request, response));
    host.stranger = await host.#listen((_, response) => {
      response.setHeader('Content-Type', 'text/html');
      response.end('<!doctype html><title>Stranger</title>');
    });
    return host;
  }

  loginLink(more = '') {
    return `${this.session}/login?token=secret&mid=${MID}${more}`;
  }

  async stop() {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    }
  }

  async #listen(answer) {
    const server = createServer((request, response) => void answer(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#servers.push(server);
    return `http://127.0.0.1:${server.address().port}`;
  }

  async #embed(request, response) {
    const { pathname } = new URL(request.url, this.embedder);
    const asset = pathname.match(/^\/([a-z-]+\.(?:js|css))$/)?.[1];
    if (asset) {
      response.setHeader('Content-Type', asset.endsWith('js') ? 'text/javascript' : 'text/css');
      response.end(await readFile(new URL(asset.replace('browserbox-', ''), asset === 'embedder.js' ? here : dist)));
      return;
    }
    if (pathname.startsWith('/demo')) return this.#demoPage(pathname, response);
    if (pathname.startsWith('/api/session')) return this.#demoSession(request, pathname, response);
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    // A strict embedder: what the element needs beside its own origin's scripts is nothing but the frame.
    response.setHeader(
      'Content-Security-Policy',
      `default-src 'none'; script-src 'self'; img-src 'self' data:; frame-src http:`,
    );
    response.end(EMBEDDER);
  }

  async #demoPage(pathname, response) {
    const asset = pathname.match(/^\/demo\/assets\/1234\/(demo\.(?:js|css))$/)?.[1];
    if (asset) {
      response.setHeader('Content-Type', asset.endsWith('js') ? 'text/javascript' : 'text/css');
      return response.end(await readFile(new URL(asset, dist)));
    }
    const page = await readFile(new URL('demo.html', dist), 'utf8');
    response.setHeader('Content-Security-Policy', DEMO_POLICY);
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    return response.end(page.replaceAll('__HASH__', '1234'));
  }

  async #demoSession(request, pathname, response) {
    const body = Buffer.concat(await request.toArray()).toString();
    this.demoRequests.push([request.method, pathname, body, request.headers['content-type'] ?? null]);
    const answer = (status, fields) =>
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(fields));
    if (pathname === '/api/session/status')
      return answer(200, this.demo ? { active: true, ...this.demo } : { active: false });
    if (pathname === '/api/session/disconnect') {
      if (JSON.parse(body).mode === 'hard') this.demo = null;
      return answer(200, { ok: true });
    }
    if (this.demoRefusal) return answer(429, this.demoRefusal);
    this.demo = { id: 'D1', login_url: this.loginLink(), expires_at: Date.now() + 900_000 };
    return answer(201, this.demo);
  }

  async #login(request, response) {
    const { pathname, search } = new URL(request.url, this.session);
    if (pathname === '/login') {
      this.logins.push(search);
      response.writeHead(302, { Location: '/s/SESSION/#entry=once', 'Referrer-Policy': 'no-referrer' }).end();
    } else if (pathname === '/s/SESSION/') {
      response.setHeader('Content-Type', 'text/html; charset=utf-8');
      response.end(
        `<!doctype html><meta charset="utf-8"><script type="module" src="session-page.js?${this.kind}"></script>`,
      );
    } else if (pathname === '/s/SESSION/session-page.js') {
      response.setHeader('Content-Type', 'text/javascript');
      response.end(await readFile(new URL('session-page.js', here)));
    } else response.writeHead(404).end();
  }
}
