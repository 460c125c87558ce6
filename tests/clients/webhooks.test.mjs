// Webhooks of the real server, checked with the specification's own library: signatures, order, a receiver that is away for
// a while, a changed secret, the command line.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Webhook } from 'standardwebhooks';
import { startServer } from './server.mjs';

const LIFE = ['session.created', 'session.assigned', 'session.ready', 'session.ending', 'session.ended'];
/** Past the first retry, so that a later one has to bring what was missed. */
const AWAY_MS = 7_000;
/** The second retry and a margin. */
const PATIENCE_MS = 60_000;

let server;
const receivers = new Set();
before(async () => (server = await startServer({ VITRINE_WEBHOOKS_ALLOW_PRIVATE: 'true' })));
after(async () => {
  for (const open of receivers) await open.stop();
  await server?.stop();
});

/** A receiver that takes what the library takes; `secrets` are tried in turn. */
class Receiver {
  messages = [];
  refused = [];
  secrets = [];
  port = 0;

  async start() {
    this.http = createServer(async (request, response) => {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      const body = Buffer.concat(chunks).toString();
      try {
        const events = this.secrets.map((secret) => new Webhook(secret).verify(body, request.headers));
        this.messages.push({ id: request.headers['webhook-id'], event: events[0] });
        response.writeHead(204).end();
      } catch (error) {
        this.refused.push(error);
        response.writeHead(400).end(String(error));
      }
    });
    this.http.listen(this.port, '127.0.0.1');
    await once(this.http, 'listening');
    this.port = this.http.address().port;
    receivers.add(this);
  }

  async stop() {
    receivers.delete(this);
    this.http.close();
    this.http.closeAllConnections();
    await once(this.http, 'close');
  }

  /** What came of a session, each message once. */
  of(session) {
    const seen = new Map(this.messages.map((message) => [message.id, message.event]));
    return [...seen.values()].filter((event) => event.data.sessionId === session).map((event) => event.type);
  }

  async until(session, names) {
    const deadline = Date.now() + PATIENCE_MS;
    while (this.of(session).length < names.length && Date.now() < deadline) await pause(50);
    assert.deepEqual(this.of(session), names);
  }
}

async function receiver() {
  const made = new Receiver();
  await made.start();
  const webhook = await server.api('POST', '/v1/webhooks', { url: `http://127.0.0.1:${made.port}/hook` });
  made.secrets = [webhook.secret];
  return [made, webhook];
}

test('every event is signed as the library expects, and a receiver that was away misses none', async () => {
  const [away, { id }] = await receiver();
  const first = await server.session();
  await away.until(first.id, LIFE.slice(0, 3));
  await away.stop();
  await server.end(first.id);
  const second = await server.session();
  await server.end(second.id);
  await pause(AWAY_MS);
  await away.start();
  await away.until(first.id, LIFE);
  await away.until(second.id, LIFE);
  assert.deepEqual(away.refused, []);
  const ended = away.messages.find(({ event }) => event.type === 'session.ended').event;
  assert.equal(ended.data.endReason, 'deleted');
  assert.ok(Math.abs(Date.parse(ended.timestamp) - Date.now()) < 2 * PATIENCE_MS);
  const { data } = await server.api('GET', `/v1/webhooks/deliveries?id=${id}`);
  assert.ok(data.some(({ attempts }) => attempts.length > 1 && attempts[0].error !== null));
  await server.api('DELETE', `/v1/webhooks?id=${id}`);
  await away.stop();
});

test('both secrets verify for a day after a rotation, and a stranger’s does not', async () => {
  const [rotating, webhook] = await receiver();
  const { secret } = await server.api('PATCH', '/v1/webhooks', { id: webhook.id, rotateSecret: true });
  rotating.secrets = [webhook.secret, secret];
  const send = () => server.api('POST', '/v1/webhooks/test', { id: webhook.id });
  assert.equal((await send()).ok, true);
  assert.equal(rotating.messages[0].event.type, 'webhook.test');
  rotating.secrets = ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'];
  const refused = await send();
  assert.deepEqual([refused.ok, refused.status], [false, 400]);
  await server.api('DELETE', `/v1/webhooks?id=${webhook.id}`);
  await rotating.stop();
});

test('the command line does all of it', async () => {
  const target = new Receiver();
  await target.start();
  const made = JSON.parse(await vitrine('create', `http://127.0.0.1:${target.port}/`, '--event', 'session.ended', '--json'));
  target.secrets = [made.secret];
  assert.match(await vitrine('test', made.id), /^the receiver answered 204 after \d+ ms$/m);
  assert.match(await vitrine('list'), new RegExp(`${made.id} .* session.ended .* enabled`));
  const changed = await vitrine('update', made.id, '--event', 'session.*', '--disable', '--description', 'mine');
  assert.match(changed, /enabled +false/);
  assert.match(await vitrine('show', made.id), /disabledReason +requested/);
  assert.match(await vitrine('deliveries', made.id), /webhook\.test .* delivered +1 +204/);
  assert.equal(await vitrine('delete', made.id), `deleted ${made.id}\n`);
  assert.match(await vitrine('list'), /^no webhooks/);
  await target.stop();
});

async function vitrine(...words) {
  const environment = { ...process.env, VITRINE_URL: server.base, VITRINE_API_KEY: server.key };
  delete environment.VITRINE_BINARY;
  const child = spawn(process.env.VITRINE_BINARY, ['webhooks', ...words], { env: environment });
  let output = '';
  child.stdout.on('data', (data) => (output += data));
  child.stderr.on('data', (data) => (output += data));
  const [code] = await once(child, 'close');
  assert.equal(code, 0, output);
  return output;
}
