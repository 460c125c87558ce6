// What tests of sandboxes share: a client of one server, its command line, and a terminal.

import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';

const READY_MS = 25_000;
const END_MS = 60_000;
const HELD_MS = 30_000;

/** Waits until `look` brings something; its last word is in the error. */
export async function until(what, look, limitMs = HELD_MS) {
  const deadline = Date.now() + limitMs;
  let last;
  for (;;) {
    try {
      const found = await look();
      if (found) return found;
      last = JSON.stringify(found);
    } catch (error) {
      last = String(error);
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${limitMs} ms, but ${last}`);
    await pause(50);
  }
}

export function sandboxes(server) {
  const path = '/v1/sandboxes';
  const post = (what, body) => server.api('POST', `${path}/${what}`, body);
  const query = (values) => new URLSearchParams(values).toString();
  const show = (id) => server.api('GET', `${path}?id=${id}`);

  /** A sandbox once it is ready. */
  async function create(wish = {}) {
    const { id } = await server.api('POST', path, wish);
    const ready = await server.api('GET', `${path}?id=${id}&waitMs=${READY_MS}`);
    if (ready.status !== 'ready') throw new Error(`the sandbox is ${ready.status}: ${JSON.stringify(ready.error)}`);
    return ready;
  }
  /** Ends one; brings it when nothing of it is left. */
  async function end(id) {
    await server.api('DELETE', `${path}?id=${id}`);
    return until(`the end of ${id}`, async () => {
      const session = await show(id);
      return ['ended', 'failed'].includes(session.status) && session;
    }, END_MS);
  }
  /** Standard output of a line that succeeds. */
  async function sh(id, command, more = {}) {
    const ended = await post('exec', { id, command, ...more });
    if (ended.exitCode !== 0) throw new Error(`${command}: ${JSON.stringify(ended)}`);
    return ended.stdout;
  }
  /** Bytes of a file, or a directory as tar. */
  async function raw(method, id, file, body, headers = {}) {
    const answer = await fetch(`${server.base}${path}/fs/raw?${query({ id, path: file })}`, {
      method,
      body,
      headers: { Authorization: `Bearer ${server.key}`, ...headers },
      ...(body instanceof ReadableStream && { duplex: 'half' }),
    });
    if (!answer.ok) throw new Error(`${answer.status} ${method} ${file}: ${await answer.text()}`);
    return method === 'GET' ? Buffer.from(await answer.arrayBuffer()) : answer.json();
  }
  /** A terminal, open. */
  async function terminal(id, more = {}) {
    const answer = await server.api('GET', `${path}/terminal?${query({ id, cols: 80, rows: 24, ...more })}`);
    return new Terminal(answer).opened();
  }
  return { create, end, show, post, sh, raw, terminal, query };
}

/** One client of a terminal: what was printed, and how it ended. */
export class Terminal {
  output = '';
  exit = undefined;
  closed = undefined;

  constructor({ terminalUrl, terminalId, terminalPageUrl }) {
    this.id = terminalId;
    this.page = terminalPageUrl;
    this.bytes = 0;
    this.socket = new WebSocket(terminalUrl);
    this.socket.binaryType = 'arraybuffer';
    const decoder = new TextDecoder();
    this.socket.onmessage = ({ data }) => {
      if (typeof data === 'string') {
        const message = JSON.parse(data);
        if (message.type === 'exit') this.exit = message.code;
        if (message.type === 'offset') this.bytes = message.offset;
      } else {
        this.bytes += data.byteLength;
        this.output += decoder.decode(data, { stream: true });
      }
    };
    this.socket.onclose = ({ code, reason }) => (this.closed = { code, reason });
  }

  async opened() {
    await until('the terminal opens', () => this.socket.readyState === WebSocket.OPEN);
    return this;
  }

  type(text) {
    this.socket.send(new TextEncoder().encode(text));
  }

  /** Waits until the output has a text. */
  shows(text, limitMs) {
    return until(`the terminal shows ${text}: ${this.output.slice(-300)}`, () => this.output.includes(text), limitMs);
  }
}

/** Runs a program to its end: what it wrote, and its exit code. */
export function run(program, arguments_, { input = '', env = {}, cwd, limitMs = 120_000 } = {}) {
  const child = spawn(program, arguments_, { cwd, env: { ...process.env, ...env }, timeout: limitMs });
  const read = (stream) => {
    const chunks = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    return chunks;
  };
  const [out, err] = [read(child.stdout), read(child.stderr)];
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) =>
      resolve({ code, bytes: Buffer.concat(out), stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    );
  });
}

/** The command line, as a person of this machine uses it. */
export function commandLine(server) {
  const env = { VITRINE_URL: server.base, VITRINE_API_KEY: server.key };
  return (arguments_, options = {}) => run(process.env.VITRINE_BINARY, arguments_, { ...options, env: { ...env, ...options.env } });
}
