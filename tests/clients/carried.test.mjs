// What a session carries besides its pages: a recording, a HAR file, a profile, downloads, and a browser that tells one story.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import validator from 'har-validator';
import { chromium } from 'playwright-core';
import { answer, RESOURCES } from './site.mjs';
import { startServer } from './server.mjs';

/** The system's Chromium, in which people look at what sessions left. */
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** How far a recording may be from the time that it shows. */
const DURATION_ERROR_MAX = 0.02;

let server;
before(async () => (server = await startServer({ VITRINE_RATE_LIMITS: '*=600000/10000' }, answer)));
after(() => server?.stop());

test('a recording plays, in other tools and in a browser, and lasts as long as the session', async () => {
  const { id, cdpUrl } = await server.session({ recording: true });
  const browser = await chromium.connectOverCDP(cdpUrl);
  const page = await browser.contexts()[0].newPage();
  await page.goto(`${server.page}moving`);
  await pause(6_000);
  // A second tab, and then nothing that moves: it costs no bytes and keeps its length.
  const still = await browser.contexts()[0].newPage();
  await still.goto(server.page);
  await pause(6_000);
  await browser.close();
  const { duration, artifacts } = await server.end(id);
  const { url, bytes } = await server.artifact(id, artifacts.recording);
  const file = join(server.folder, 'recording.mp4');
  await writeFile(file, bytes);
  const probed = await ffprobe(file);
  assert.equal(probed.streams[0].codec_name, 'h264');
  near(Number(probed.format.duration) * 1000, duration);
  assert.ok(probed.chapters.length >= 2, 'a chapter for each tab that was in front');
  near((await played(url)) * 1000, duration);
});

test('a recording plays although the server was killed, and goes on with the session', async () => {
  const { id, cdpUrl } = await server.session({ recording: true, idleTimeoutMs: 0 });
  const started = Date.now();
  const browser = await chromium.connectOverCDP(cdpUrl);
  const page = await browser.contexts()[0].newPage();
  await page.goto(`${server.page}moving`);
  await pause(4_000);
  await server.crash();
  await server.start();
  await pause(4_000);
  const { artifacts } = await server.end(id);
  const lasted = Date.now() - started;
  const { url, bytes } = await server.artifact(id, artifacts.recording);
  const file = join(server.folder, 'killed.mp4');
  await writeFile(file, bytes);
  const seconds = Number((await ffprobe(file)).format.duration);
  // The end itself takes a moment that is not recorded.
  assert.ok(seconds * 1000 > lasted * 0.9 && seconds * 1000 < lasted * 1.02, `${seconds} s of ${lasted} ms`);
  assert.ok(Math.abs((await played(url)) - seconds) < 0.1);
});

test('a HAR file is valid and has every request with its size', async () => {
  const { id, cdpUrl } = await server.session({ har: true });
  const browser = await chromium.connectOverCDP(cdpUrl);
  const page = await browser.contexts()[0].newPage();
  await page.goto(`${server.page}resources`, { waitUntil: 'networkidle' });
  await browser.close();
  const { artifacts } = await server.end(id);
  const har = JSON.parse((await server.artifact(id, artifacts.har)).bytes);
  await validator.har(har);
  const sizes = new Map(har.log.entries.map((entry) => [new URL(entry.request.url).pathname, entry.response.content.size]));
  for (const [path, size] of RESOURCES) assert.equal(sizes.get(path), size, path);
  const cookie = har.log.entries.flatMap((entry) => entry.response.headers).find(({ name }) => /^set-cookie$/i.test(name));
  assert.ok(!cookie || cookie.value.includes('[redacted]'), 'what authenticates is not in it');
});

test('a login is there again with the same profile, and only one session has it at a time', async () => {
  const profileKey = 'somebody';
  const first = await server.session({ profileKey });
  await assert.rejects(server.api('POST', '/v1/browsers', { profileKey }), /409 .*PROFILE_IN_USE/);
  let browser = await chromium.connectOverCDP(first.cdpUrl);
  let page = await browser.contexts()[0].newPage();
  await page.goto(`${server.page}account`);
  assert.equal(await page.textContent('h1'), 'Please log in');
  await page.click('button');
  assert.equal(await page.textContent('h1'), 'Welcome back');
  await page.evaluate(() => localStorage.setItem('theme', 'dark'));
  await browser.close();
  await server.end(first.id);

  const second = await server.session({ profileKey });
  browser = await chromium.connectOverCDP(second.cdpUrl);
  page = await browser.contexts()[0].newPage();
  await page.goto(`${server.page}account`);
  assert.equal(await page.textContent('h1'), 'Welcome back');
  assert.equal(await page.evaluate(() => localStorage.getItem('theme')), 'dark');
  await browser.close();
  await server.end(second.id);
  const { data } = await server.api('GET', '/v1/profiles');
  assert.deepEqual(
    data.map(({ key, version, inUse }) => ({ key, version, inUse })),
    [{ key: profileKey, version: 2, inUse: false }],
  );
});

test('downloads are kept whole, also when the client has a folder of its own', async () => {
  const { id, cdpUrl } = await server.session();
  const browser = await chromium.connectOverCDP(cdpUrl);
  const page = await (await browser.newContext({ acceptDownloads: true })).newPage();
  await page.goto(server.page);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.evaluate(() => Object.assign(document.createElement('a'), { href: '/download', download: '' }).click()),
  ]);
  assert.equal(await download.failure(), null);
  await browser.close();
  const ended = await server.end(id);
  const { items } = await server.api('GET', `/v1/browsers/artifacts?id=${id}`);
  const kept = items.find(({ kind }) => kind === 'download');
  assert.equal(kept.key, 'downloads/report.txt');
  assert.deepEqual(ended.artifacts.downloads, [kept.key]);
  const { bytes } = await server.artifact(id, kept.key);
  assert.equal(createHash('sha256').update(bytes).digest('hex'), kept.sha256);
  assert.equal(bytes.length, 300_000);
});

test('a browser with stealth tells one story', async () => {
  const { id, cdpUrl } = await server.session({ stealth: true });
  const browser = await chromium.connectOverCDP(cdpUrl);
  const page = await browser.contexts()[0].newPage();
  await page.goto(`${server.securePage}who`);
  const story = await page.evaluate(() => globalThis.story());
  assert.equal(story.webdriver, false);
  for (const agent of [story.agent, story.worker.agent, story.frame.agent, story.headers['user-agent']]) {
    assert.equal(agent, story.agent);
    assert.doesNotMatch(agent, /headless/i);
  }
  const [, major] = story.agent.match(/Chrome\/(\d+)/);
  assert.ok(story.brands.some(({ brand, version }) => /Chromium/.test(brand) && version === major), JSON.stringify(story.brands));
  assert.ok(!story.brands.some(({ brand }) => /headless/i.test(brand)));
  assert.match(story.headers['sec-ch-ua'], new RegExp(`"Chromium";v="${major}"`));
  assert.equal(story.headers['sec-ch-ua-platform'], '"Linux"');
  assert.equal(story.language, story.languages[0]);
  assert.ok(story.headers['accept-language'].startsWith(story.language));
  assert.equal(story.worker.language, story.language);
  assert.equal(story.worker.timezone, story.timezone);
  assert.ok(story.outer[0] >= story.inner[0] && story.outer[1] >= story.inner[1], 'a window is not smaller than its page');
  assert.ok(story.screen[0] >= story.outer[0] && story.screen[1] >= story.outer[1], 'nor larger than its screen');
  assert.ok(story.plugins > 0);
  assert.ok(story.webgl, 'WebGL is there');
  await browser.close();
  await server.end(id);
});

function near(value, expected) {
  const error = Math.abs(value - expected) / expected;
  assert.ok(error <= DURATION_ERROR_MAX, `${value} ms, expected ${expected} ms`);
}

async function ffprobe(file) {
  const wanted = ['-show_format', '-show_streams', '-show_chapters'];
  const probe = spawn('ffprobe', ['-v', 'error', '-of', 'json', ...wanted, file], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [output, errors] = ['', ''];
  probe.stdout.on('data', (data) => (output += data));
  probe.stderr.on('data', (data) => (errors += data));
  const [code] = await once(probe, 'close');
  assert.equal(code, 0, errors);
  assert.equal(errors, '');
  return JSON.parse(output);
}

/** Plays a recording in a real browser to its end; answers its duration there, in seconds. */
async function played(url) {
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage();
    return await page.evaluate(async (source) => {
      const video = document.createElement('video');
      video.muted = true;
      video.src = source;
      await new Promise((resolve, reject) => {
        video.onloadedmetadata = resolve;
        video.onerror = () => reject(new Error(video.error.message));
      });
      const { duration } = video;
      video.playbackRate = 8;
      await video.play();
      await new Promise((resolve, reject) => {
        video.onended = resolve;
        video.onerror = () => reject(new Error(video.error.message));
      });
      return duration;
    }, url);
  } finally {
    await browser.close();
  }
}
