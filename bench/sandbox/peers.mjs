// The peers of "create to first command": what starts an isolated process on the same root by its own command line. Each has
// a fresh container with an own network without a way out, runs `true` in it by a second command, and takes it away.
//
// A peer is { name, available(), create(): Promise<{ remove() }> }: `create` is timed, `remove` is not.

import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const IMAGES = process.env.VITRINE_IMAGE_DIR ?? '/var/cache/vitrine/images';
const FOREVER = ['sleep', '100000'];

/** The root file system that our sandboxes have, too. */
export const root = readdirSync(IMAGES)
  .filter((name) => name.startsWith('standard-'))
  .map((name) => join(IMAGES, name, 'rootfs'))
  .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];

function call(program, ...words) {
  const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (data) => (errors += data));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    // Not `close`: what a container keeps open is no part of the command.
    child.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${program} ${words[0]}: ${code} ${errors}`))));
  });
}

function installed(program) {
  try {
    execFileSync(program, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

let next = 0;
const name = () => `vitrine-bench-${process.pid}-${next++}`;

/** runc and crun: one bundle for all, the image as its read-only root, which spares them the overlay that ours has. */
function runtime(program, command = [program]) {
  let bundle;
  return {
    name: `${program} (run, exec)`,
    available: () => installed(program),
    start() {
      bundle = mkdtempSync(join(tmpdir(), `vitrine-bench-${program}-`));
      execFileSync(program, ['spec'], { cwd: bundle });
      const file = join(bundle, 'config.json');
      const config = JSON.parse(readFileSync(file, 'utf8'));
      config.process.terminal = false;
      config.process.args = FOREVER;
      config.root = { path: root, readonly: true };
      writeFileSync(file, JSON.stringify(config));
    },
    async create() {
      const id = name();
      await call(...command, 'run', '-d', '-b', bundle, id);
      await call(...command, 'exec', id, 'true');
      return { remove: () => call(...command, 'delete', '-f', id) };
    },
    stop: () => rmSync(bundle, { recursive: true }),
  };
}

/** It has no second command: the one that it starts is `true` itself. */
const bubblewrap = {
  name: 'bubblewrap (one command)',
  available: () => installed('bwrap'),
  start() {},
  async create() {
    await call('bwrap', '--ro-bind', root, '/', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--unshare-all', 'true');
    return { remove: async () => {} };
  },
  stop() {},
};

/** Those that it would set need more than a machine may give. */
const LIMITS = ['--ulimit=nofile=1024:1024', '--ulimit=nproc=1024:1024'];

/** What is mounted last below a folder. */
function mounted(folder) {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n').map((line) => line.split(' ')[1] ?? '');
  return mounts.findLast((place) => place.startsWith(folder));
}

const podman = {
  name: 'podman (run, exec)',
  available: () => installed('podman'),
  start() {
    podman.folder = mkdtempSync(join(tmpdir(), 'vitrine-bench-podman-'));
    mkdirSync(join(podman.folder, 'run'));
    podman.words = ['--root', join(podman.folder, 'storage'), '--runroot', join(podman.folder, 'run'), '--cgroup-manager=cgroupfs', ...(installed('runc') ? ['--runtime=runc'] : [])];
  },
  async create() {
    const id = name();
    const { words } = podman;
    await call('podman', ...words, 'run', '-d', '--name', id, '--network=none', '--read-only', ...LIMITS, '--rootfs', root, ...FOREVER);
    await call('podman', ...words, 'exec', id, 'true');
    return { remove: () => call('podman', ...words, 'rm', '-f', '-t', '0', id) };
  },
  stop() {
    // It leaves its storage mounted on itself, once more for each command that was late to end.
    for (let place; (place = mounted(podman.folder)); ) execFileSync('umount', [place]);
    rmSync(podman.folder, { recursive: true });
  },
};

/** crun refuses machines that have controllers of the first version beside a hierarchy of the second, so it is not shown that. */
const UNIFIED = '/sys/fs/cgroup/unified';
const hidden = ['unshare', '--mount', 'sh', '-c', `umount ${UNIFIED} && exec crun "$@"`, 'crun'];

export const peers = [runtime('runc'), runtime('crun', existsSync(UNIFIED) ? hidden : undefined), bubblewrap, podman];
