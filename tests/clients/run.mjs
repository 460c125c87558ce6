// Every test of clients; the last lines are how many passed and failed.

import { runFiles } from './files.mjs';

const { passed, failed } = await runFiles(import.meta.dirname);
console.log(`# pass ${passed}\n# fail ${failed}`);
process.exitCode = failed ? 1 : 0;
