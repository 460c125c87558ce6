// Every test of the embed platform, and then the table of what they prove; the last lines are how many passed and failed.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runFiles } from '../clients/files.mjs';
import { problems } from './table.mjs';

const folder = mkdtempSync(join(tmpdir(), 'vitrine-conformance-'));
process.env.VITRINE_CONFORMANCE = folder;
const { passed, failed } = await runFiles(import.meta.dirname);
const found = problems(folder);
rmSync(folder, { recursive: true });
for (const problem of found) console.log(problem);
console.log(`# pass ${passed}\n# fail ${failed + found.length}`);
process.exitCode = failed + found.length ? 1 : 0;
