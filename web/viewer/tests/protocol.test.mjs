// The messages as both sides must read them, and the small rules that need no browser.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { addressOf } from '../src/chrome/address.ts';
import { endingOfClose, endingOfStatus } from '../src/endings.ts';
import { decodeMessage, decodePicture, isServerMessage, isViewerMessage } from '../src/protocol.ts';
import { codecOf } from '../src/screen.ts';
import { colours } from './server.mjs';

async function fixture(name) {
  return JSON.parse(await readFile(new URL(`../../fixtures/live-view/${name}.json`, import.meta.url), 'utf8'));
}

test('every message of the server is understood as it is', async () => {
  for (const message of await fixture('server')) assert.deepEqual(decodeMessage(JSON.stringify(message)), message);
});

test('every message of a viewer is in the protocol', async () => {
  for (const message of await fixture('viewer')) assert.ok(isViewerMessage(message), JSON.stringify(message));
});

test('what is broken or unknown is not understood, and null reads as left out', async () => {
  for (const message of await fixture('server')) {
    for (const field of Object.keys(message)) {
      assert.equal(isServerMessage({ ...message, [field]: Symbol() }), false, `${message.type}.${field}`);
    }
  }
  for (const json of ['null', '1', '[]', '{}', '{"type":"toString"}', '{"type":"ack","sequence":1}']) {
    assert.equal(decodeMessage(json), null, json);
  }
  assert.deepEqual(decodeMessage('{"type":"tabs","active":null,"tabs":[]}'), { type: 'tabs', tabs: [] });
});

test('every header of a picture is read', async () => {
  for (const { hex, version, ...fields } of await fixture('pictures')) {
    const payload = [1, 2, 3];
    const bytes = new Uint8Array([...Buffer.from(hex, 'hex'), ...payload]);
    assert.equal(version, 1);
    assert.deepEqual(decodePicture(bytes.buffer), { ...fields, data: new Uint8Array(payload) });
  }
  assert.equal(decodePicture(new ArrayBuffer(19)), null);
  assert.equal(decodePicture(new Uint8Array([2, ...new Array(19).fill(0)]).buffer), null);
});

test('the codec is read from the stream', async () => {
  const [key, delta] = await colours();
  assert.match(codecOf(key), /^avc1\.42c0/);
  assert.equal(codecOf(delta), null);
});

test('a typed address becomes one', () => {
  const addresses = {
    '': null,
    '  example.com ': 'https://example.com',
    'example.com/a?b#c': 'https://example.com/a?b#c',
    'http://example.com': 'http://example.com',
    'about:blank': 'about:blank',
    'localhost:3000/x': 'http://localhost:3000/x',
    'machine:8080': 'https://machine:8080',
    '127.0.0.1': 'http://127.0.0.1',
    'data:text/html,hi': 'data:text/html,hi',
  };
  for (const [typed, address] of Object.entries(addresses)) assert.equal(addressOf(typed), address, typed);
});

test('a close code says whether to come back', () => {
  for (const code of [1000, 1002, 1008, 4001, 4002, 4010, 4011, 4012, 4401, 4999])
    assert.ok(endingOfClose(code, ''), String(code));
  for (const code of [1001, 1005, 1006, 1011, 1012])
    assert.equal(endingOfClose(code, 'service_restart'), null, String(code));
  assert.match(endingOfClose(1001, 'server_shutdown').sentence, /shutting down/);
  assert.match(endingOfClose(1000, 'closed_by_client').sentence, /program/);
  assert.equal(endingOfClose(1006, 'constructor'), null);
  for (const status of [401, 403, 404, 410]) assert.ok(endingOfStatus(status));
  for (const status of [200, 500, 502]) assert.equal(endingOfStatus(status), null);
});
