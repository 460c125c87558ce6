// One kept HTTP/1.1 connection, written by hand: so little of the client that it is not what is measured.

import { once } from 'node:events';
import { connect } from 'node:net';

const CRLF2 = Buffer.from('\r\n\r\n');

export class Connection {
  #socket;
  #url;
  #head;
  #received = Buffer.alloc(0);
  #wake = () => {};
  #failed = null;

  static async open(url, key) {
    const connection = new Connection();
    connection.#url = new URL(url);
    connection.#head = `Host: ${connection.#url.host}\r\nAuthorization: Bearer ${key}\r\n`;
    await connection.#connect();
    return connection;
  }

  async #connect() {
    this.#failed = null;
    this.#received = Buffer.alloc(0);
    const socket = connect({ host: this.#url.hostname, port: Number(this.#url.port), noDelay: true });
    await once(socket, 'connect');
    const ended = () => {
      this.#failed = new Error('the server closed the connection');
      this.#wake();
    };
    socket.on('data', (data) => {
      this.#received = this.#received.length ? Buffer.concat([this.#received, data]) : data;
      this.#wake();
    });
    socket.on('error', ended).on('close', ended);
    this.#socket = socket;
  }

  /** A server closes what was idle for long; whoever asks again connects again. */
  async #ready() {
    if (this.#failed) await this.#connect();
  }

  close() {
    this.#socket.destroy();
  }

  async json(method, path, body) {
    const text = body === undefined ? '' : JSON.stringify(body);
    const type = text && 'Content-Type: application/json\r\n';
    const length = `Content-Length: ${Buffer.byteLength(text)}\r\n`;
    await this.#ready();
    this.#socket.write(`${method} ${path} HTTP/1.1\r\n${this.#head}${type}${length}\r\n${text}`);
    const { status, headers } = await this.#answer();
    const answer = JSON.parse((await this.#take(Number(headers['content-length']))).toString());
    if (status >= 300) throw new Error(`${status} ${method} ${path}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Sends `count` times the same bytes as one body. */
  async upload(path, piece, count) {
    await this.#ready();
    this.#socket.write(`PUT ${path} HTTP/1.1\r\n${this.#head}Content-Length: ${piece.length * count}\r\n\r\n`);
    for (let sent = 0; sent < count; sent += 1) {
      if (!this.#socket.write(piece)) await once(this.#socket, 'drain');
    }
    const { status, headers } = await this.#answer();
    const answer = (await this.#take(Number(headers['content-length']))).toString();
    if (status >= 300) throw new Error(`${status} PUT ${path}: ${answer}`);
  }

  /** Receives a body of known length and drops it; answers how long it is. */
  async download(path) {
    await this.#ready();
    this.#socket.write(`GET ${path} HTTP/1.1\r\n${this.#head}\r\n`);
    const { status, headers } = await this.#answer();
    if (status >= 300) throw new Error(`${status} GET ${path}`);
    const size = Number(headers['content-length']);
    for (let left = size - this.#drop(size); left > 0; left -= this.#drop(left)) await this.#more();
    return size;
  }

  async #answer() {
    let end;
    while ((end = this.#received.indexOf(CRLF2)) < 0) await this.#more();
    const [first, ...lines] = this.#received.subarray(0, end).toString().split('\r\n');
    this.#received = this.#received.subarray(end + CRLF2.length);
    const headers = Object.fromEntries(lines.map((line) => line.toLowerCase().split(/: */, 2)));
    return { status: Number(first.split(' ')[1]), headers };
  }

  async #take(size) {
    while (this.#received.length < size) await this.#more();
    const taken = this.#received.subarray(0, size);
    this.#received = this.#received.subarray(size);
    return taken;
  }

  #drop(most) {
    const size = Math.min(most, this.#received.length);
    this.#received = this.#received.subarray(size);
    return size;
  }

  #more() {
    if (this.#failed) throw this.#failed;
    const { promise, resolve, reject } = Promise.withResolvers();
    this.#wake = () => (this.#failed ? reject(this.#failed) : resolve());
    return promise;
  }
}
