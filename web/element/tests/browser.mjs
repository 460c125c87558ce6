// The built element in real browsers: each test of a file runs in Chromium and in Firefox, on an embedder's page of
// its own.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import puppeteer from 'puppeteer-core';
import { Host } from './host.mjs';

const ENGINES = [
  {
    name: 'Chromium',
    browser: 'chrome',
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu'],
  },
  { name: 'Firefox', browser: 'firefox', executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr', args: [] },
];
const HELD_MS = 30_000;

/** Declares tests in every engine that is installed; Chromium has to be. `run` is given `test(name, body)`. */
export function suite(name, declare) {
  for (const engine of ENGINES) {
    const missing = !existsSync(engine.executablePath);
    const skip = missing && engine.name !== 'Chromium' ? `${engine.executablePath} is not installed` : false;
    describe(`${name} in ${engine.name}`, { skip }, () => {
      let browser;
      before(async () => {
        browser = await puppeteer.launch({ ...engine, headless: true });
      });
      after(() => browser?.close());
      const test = (title, body) =>
        it(title, { timeout: HELD_MS }, async () => {
          const host = await Host.start();
          const page = await browser.newPage();
          try {
            await page.goto(host.embedder);
            await body({ host, page, run: (given, argument) => run(page, host, given, argument) });
          } finally {
            await page.close();
            await host.stop();
          }
        });
      declare(test, engine);
    });
  }
}

/** Runs a function in the embedder's page; it is given the helpers of `embedder.js`, the login link, and an argument. */
async function run(page, host, given, argument) {
  const json = await page.evaluate(
    async (source, link, argument) => {
      const helpers = await import('/embedder.js');
      // The embedder's policy forbids to evaluate text; a function that the debugger made is none.
      const value = await source({ ...helpers, link }, argument);
      // As text: what holds an object twice would come back with holes.
      return JSON.stringify({ value, errors: helpers.errors });
    },
    await page.evaluateHandle(`(${given})`),
    host.loginLink(),
    argument,
  );
  const outcome = JSON.parse(json);
  assert.deepEqual(outcome.errors, [], 'the embedder page had errors');
  return outcome.value;
}
