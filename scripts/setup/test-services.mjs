// The real services that the tests use beside the product: a browser, a PostgreSQL server, a Docker engine, emulators of
// ARM, ffmpeg, an RTSP server and Mosquitto. On Debian as root they are installed; elsewhere it is said what is missing, and the tests that need it are skipped.
import { spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, step } from './setup.mjs';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const POSTGRES_ROOT = '/usr/lib/postgresql';
// PostgreSQL refuses to run as root.
const NOBODY = 65534;

const isRoot = process.getuid?.() === 0;

async function aptInstall(name, packages) {
  if (!isRoot || !existsSync('/usr/bin/apt-get')) return;
  try {
    await step(`Installing ${name} (apt-get)`, async () => {
      await run('apt-get', ['update', '-qq'], { quiet: true });
      await run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...packages], {
        quiet: true,
        env: { DEBIAN_FRONTEND: 'noninteractive' },
      });
    });
  } catch (error) {
    process.stderr.write(`${error.message}\n`);
  }
}

/** Path of a Chromium, or undefined. */
export async function ensureChromium() {
  const find = () => process.env.SELVEDGE_CHROMIUM ?? CHROMIUM.find((path) => existsSync(path));
  if (find() === undefined) await aptInstall('Chromium', ['chromium']);
  if (find() === undefined)
    process.stdout.write('Missing: Chromium. The browser tests are skipped; install it, or set SELVEDGE_CHROMIUM to its path.\n');
  return find();
}

const LIBRARIES = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu`;

/** Program or library, what it is for, and the Debian package that has it. */
const NATIVE_PROGRAMS = [
  ['/usr/bin/qemu-arm-static', 'emulated ARM', 'qemu-user-static'],
  ['/usr/sbin/dockerd', 'the image of the build tool', 'docker.io'],
  ['/bin/busybox', 'the image of the build tool', 'busybox-static'],
  ['/usr/bin/ffmpeg', 'videos and network cameras', 'ffmpeg'],
  // An RTSP server that sends over TCP, as the executable asks for first: of those in Debian only GStreamer's does.
  [`${LIBRARIES}/girepository-1.0/GstRtspServer-1.0.typelib`, 'a network camera', 'gir1.2-gst-rtsp-server-1.0'],
  [`${LIBRARIES}/gstreamer-1.0/libgstrtpmanager.so`, 'a network camera', 'gstreamer1.0-plugins-good'],
  ['/usr/lib/python3/dist-packages/gi/__init__.py', 'a network camera', 'python3-gi'],
];

/** What the tests of native packages run besides the toolchains, which they install themselves. */
export async function ensureNativePrograms() {
  const missing = () => NATIVE_PROGRAMS.filter(([path]) => !existsSync(path));
  const packages = missing().map(([, , name]) => name);
  if (packages.length > 0) await aptInstall('emulators, a Docker engine and video programs', packages);
  for (const [path, purpose, name] of missing()) {
    const text = `Missing: ${path} (${purpose}). Install the package ${name}.`;
    // On a build machine this is a failure, not a reason to test less.
    if (process.env.CI) throw new Error(text);
    process.stdout.write(`${text} Its tests fail without.\n`);
  }
}

const MOSQUITTO = ['/usr/sbin/mosquitto', '/usr/bin/mosquitto', '/usr/local/sbin/mosquitto'];

/** The broker that can stand in for the one in the server. */
export async function ensureMosquitto() {
  const isThere = () => MOSQUITTO.some((path) => existsSync(path));
  if (!isThere()) await aptInstall('Mosquitto', ['mosquitto']);
  if (isThere()) return;
  const text = 'Missing: mosquitto (a broker of its own for devices). Install the package mosquitto.';
  // On a build machine this is a failure, not a reason to test less.
  if (process.env.CI) throw new Error(text);
  process.stdout.write(`${text} Its tests are skipped.\n`);
}

function postgresBin() {
  if (!existsSync(POSTGRES_ROOT)) return undefined;
  const versions = readdirSync(POSTGRES_ROOT).sort((a, b) => Number(b) - Number(a));
  return versions.map((version) => join(POSTGRES_ROOT, version, 'bin')).find((folder) => existsSync(join(folder, 'initdb')));
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** A PostgreSQL server of our own in a temporary folder: its URL and how to stop it; undefined where there is none. */
export async function startPostgres() {
  if (process.env.SELVEDGE_TEST_POSTGRES !== undefined) return { url: process.env.SELVEDGE_TEST_POSTGRES, stop: async () => {} };
  if (postgresBin() === undefined) await aptInstall('PostgreSQL', ['postgresql']);
  const bin = postgresBin();
  if (bin === undefined) {
    process.stdout.write(
      'Missing: PostgreSQL. Its tests are skipped; install it, or set SELVEDGE_TEST_POSTGRES to the URL of an empty database.\n',
    );
    return undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-postgres-'));
  const asUser = isRoot ? { uid: NOBODY, gid: NOBODY } : {};
  if (isRoot) chownSync(folder, NOBODY, NOBODY);
  const port = await freePort();
  const data = join(folder, 'data');
  await run(join(bin, 'initdb'), ['-D', data, '-U', 'selvedge', '-A', 'trust', '--no-sync', '--encoding=UTF8'], {
    quiet: true,
    cwd: folder,
    ...asUser,
  });
  const server = spawn(join(bin, 'postgres'), ['-D', data, '-F', '-p', String(port), '-h', '127.0.0.1', '-k', folder], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
    ...asUser,
  });
  const ended = new Promise((resolve) => server.on('exit', resolve));
  const stop = async () => {
    server.kill('SIGINT');
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  let log = '';
  const ready = new Promise((resolve, reject) => {
    server.stderr.on('data', (chunk) => {
      log += chunk;
      if (log.includes('ready to accept connections')) resolve();
    });
    ended.then(() => reject(new Error(`PostgreSQL did not start:\n${log}`)));
  });
  await ready;
  return { url: `postgres://selvedge@127.0.0.1:${port}/postgres`, stop };
}
