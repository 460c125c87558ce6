// A test that says which documented members it proves. What passed is written to the folder that VITRINE_CONFORMANCE names, if it
// names one, for table.mjs.

import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { ALL } from './members.mjs';

const { VITRINE_CONFORMANCE: folder } = process.env;
const FILE = basename(process.argv[1] ?? '');

/** A test of `members`, each as members.mjs has it. */
export function behaviour(title, members, prove) {
  const unknown = members.filter((member) => !ALL.includes(member));
  if (unknown.length) throw new Error(`no documented members: ${unknown.join(', ')}`);
  test(title, async (context) => {
    await prove(context);
    if (!folder) return;
    const name = createHash('sha256').update(`${FILE} ${title}`).digest('hex').slice(0, 16);
    writeFileSync(join(folder, `${name}.json`), JSON.stringify({ file: FILE, title, members }));
  });
}
