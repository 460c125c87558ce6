// Every file of tests of a folder by itself. One that fails is tried once more, so that a browser that a busy machine starved stops no
// change; what passes then is called FLAKY at the end, and is looked into.

import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const COUNT = /^# (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) ([\d.]+)$/;

/** The counts of one file; its other lines are shown as they come. */
async function run(file) {
  const child = spawn(process.execPath, ['--test', '--test-reporter=tap', file], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const counts = { pass: 0, fail: 0, cancelled: 0 };
  for await (const line of createInterface({ input: child.stdout })) {
    const [, name, value] = COUNT.exec(line) ?? [];
    if (name) counts[name] = Number(value);
    else console.log(line);
  }
  const code = await ended;
  const failed = counts.fail + counts.cancelled;
  return { passed: counts.pass, failed: failed || (code === 0 ? 0 : 1) };
}

/** How many tests of `folder` passed and failed. */
export async function runFiles(folder) {
  const files = readdirSync(folder).filter((name) => name.endsWith('.test.mjs'));
  const flaky = [];
  let passed = 0;
  let failed = 0;
  for (const file of files.sort()) {
    console.log(`# ${file}`);
    let result = await run(join(folder, file));
    if (result.failed) {
      console.log(`# ${file} is tried once more`);
      result = await run(join(folder, file));
      if (!result.failed) flaky.push(file);
    }
    passed += result.passed;
    failed += result.failed;
  }
  if (flaky.length) console.log(`# FLAKY: ${flaky.join(', ')}`);
  return { passed, failed };
}
