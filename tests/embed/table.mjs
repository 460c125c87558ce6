// Which test proves which documented member: reads what passed (behaviour.mjs) and compares it with docs/embed/conformance.md. A member
// without a passing test, or a page that says something else, is a failure; VITRINE_WRITE_TABLE=1 writes the page.

import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MEMBERS } from './members.mjs';

const PAGE = new URL('../../docs/embed/conformance.md', import.meta.url);

/** What is wrong with the results in `folder`; nothing when every member is proved and the page says so. */
export function problems(folder) {
  const proofs = readdirSync(folder).map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')));
  const unproved = Object.values(MEMBERS)
    .flat()
    .filter((member) => !proofs.some(({ members }) => members.includes(member)));
  const text = page(proofs);
  if (process.env.VITRINE_WRITE_TABLE) writeFileSync(PAGE, text);
  const stale = !unproved.length && readFileSync(PAGE, 'utf8') !== text;
  return [
    ...unproved.map((member) => `no passing test proves ${member}`),
    ...(stale ? ['docs/embed/conformance.md is not what the tests prove: run them with VITRINE_WRITE_TABLE=1'] : []),
  ];
}

function page(proofs) {
  const sorted = proofs.sort((a, b) => `${a.file} ${a.title}`.localeCompare(`${b.file} ${b.title}`));
  const sections = Object.entries(MEMBERS).map(([section, members]) => {
    const rows = members.map((member) => {
      const tests = sorted.filter((proof) => proof.members.includes(member)).map(({ file, title }) => `${title} (\`${file}\`)`);
      return `| \`${member}\` | ${tests.join('; ') || '**none**'} | ${tests.length ? 'passes' : '**unproved**'} |`;
    });
    return `## ${section}\n\n| member | proved by | result |\n|---|---|---|\n${rows.join('\n')}\n`;
  });
  const members = Object.values(MEMBERS).flat();
  const proved = members.filter((member) => sorted.some((proof) => proof.members.includes(member))).length;
  return `# Conformance

Written by \`tests/embed\`, which runs the real server, the real element on a page of another origin, and real browsers; never edited by
hand. ${sorted.length} tests prove ${proved} of ${members.length} documented members.

${sections.join('\n')}`;
}
