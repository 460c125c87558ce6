//! Files from this machine into the session, for a page that asked for them.

import type { Host } from '../host.ts';

/** Paths in the session, in the order of the files. Rejects with a sentence for the person. */
export async function upload(host: Host, files: readonly File[], tell: (sentence: string) => void): Promise<string[]> {
  const paths: string[] = [];
  for (const [index, file] of files.entries()) {
    tell(`Sending ${file.name}${files.length > 1 ? ` (${index + 1} of ${files.length})` : ''}…`);
    const taken = files.slice(0, index).some(({ name }) => name === file.name);
    const path = `uploads/${taken ? `${index + 1} ` : ''}${file.name}`;
    const answer = await host
      .files(`/raw?path=${encodeURIComponent(path)}`, { method: 'PUT', body: file })
      .catch(() => null);
    if (!answer?.ok) throw new Error(`${file.name} could not be sent: ${await reasonOf(answer)}`);
    const stored = (await answer.json().catch(() => null)) as { path?: unknown } | null;
    paths.push(typeof stored?.path === 'string' ? stored.path : path);
  }
  return paths;
}

/** What the server says is wrong. */
export async function reasonOf(answer: Response | null): Promise<string> {
  if (!answer) return 'the server cannot be reached';
  const body = (await answer.json().catch(() => null)) as { error?: unknown } | null;
  return typeof body?.error === 'string' ? body.error : `the server answered ${answer.status}`;
}
