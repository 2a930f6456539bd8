import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { AppError, parseJoinToken } from '@selvedge/contract';
import { parseServerUrl } from '@selvedge/device-link';
import { systemErrorCode, writeFileAtomic } from '@selvedge/runtime';
import { JOIN_FILE, STATE_FOLDER, systemdUnit, UNIT_NAME } from '../domain/systemd-unit.ts';

export interface InstallOptions {
  /** The program and its first arguments, absolute. */
  program: readonly string[];
  /** Device port of the server, with a token: the agent joins when it starts first. */
  url?: string | undefined;
  token?: string | undefined;
  /** Folder that is the root of another system, e.g. of an image; '/' for this one. */
  root: string;
  memoryMax: string;
  signal?: AbortSignal;
}

const run = promisify(execFile);
const UNIT_PATH = `/etc/systemd/system/${UNIT_NAME}.service`;
const ENABLED_PATH = `/etc/systemd/system/multi-user.target.wants/${UNIT_NAME}.service`;

/** Text of the unit, without installing anything. */
export function unitText({ program, memoryMax }: Pick<InstallOptions, 'program' | 'memoryMax'>): string {
  return systemdUnit({ program, memoryMax, nodeFolder: dirname(process.execPath) });
}

/**
 * Makes the agent a service of systemd and starts it; below another root it is started when that system boots.
 *
 * @returns what was done, a line each.
 * @throws AppError FORBIDDEN (user) when not root; SETUP_INCOMPLETE (user) without systemd, or when the program lies where the
 *   service cannot see it; USAGE, JOIN_TOKEN_INVALID (user).
 */
export async function installService(options: InstallOptions): Promise<string[]> {
  const { url, token, root } = options;
  if ((url === undefined) !== (token === undefined)) throw new AppError('USAGE', { message: '--url and --token belong together.' });
  if (url !== undefined) parseServerUrl(url);
  if (token !== undefined) parseJoinToken(token);
  const isThisSystem = needRights(root);
  if (isThisSystem) assertVisible(options.program);
  const at = (path: string) => join(root, path);
  const done: string[] = [];
  if (url !== undefined && token !== undefined) {
    // The service joins by itself, so that a copy of an image becomes a device of its own, and an approval may take its time.
    await writeFileAtomic(at(JOIN_FILE), `SELVEDGE_JOIN_URL=${url}\nSELVEDGE_JOIN_TOKEN=${token.trim()}\n`, { mode: 0o600 });
    done.push(`${at(JOIN_FILE)} written: the agent joins ${url} when it starts first`);
  }
  await writeFileAtomic(at(UNIT_PATH), unitText(options));
  done.push(`${at(UNIT_PATH)} written`);
  if (isThisSystem) {
    await systemctl(['daemon-reload'], options.signal);
    await systemctl(['enable', UNIT_NAME], options.signal);
    await systemctl(['restart', UNIT_NAME], options.signal);
    done.push(`${UNIT_NAME} enabled and started; "journalctl -u ${UNIT_NAME}" shows its log`);
  } else {
    await mkdir(dirname(at(ENABLED_PATH)), { recursive: true });
    await symlink(`../${UNIT_NAME}.service`, at(ENABLED_PATH)).catch((error: unknown) => {
      if (systemErrorCode(error) !== 'EEXIST') throw error;
    });
    done.push(`${UNIT_NAME} enabled: it starts when that system boots`);
  }
  return done;
}

/**
 * Stops the service and removes it. The device's identity and models stay, unless `purge`.
 *
 * @returns what was done, a line each.
 * @throws AppError FORBIDDEN, SETUP_INCOMPLETE (user).
 */
export async function uninstallService(options: { root: string; purge: boolean; signal?: AbortSignal }): Promise<string[]> {
  const { root, purge, signal } = options;
  const isThisSystem = needRights(root);
  const at = (path: string) => join(root, path);
  if (isThisSystem && existsSync(UNIT_PATH)) await systemctl(['disable', '--now', UNIT_NAME], signal);
  for (const path of [ENABLED_PATH, UNIT_PATH, dirname(JOIN_FILE)]) await rm(at(path), { force: true, recursive: true });
  if (isThisSystem) await systemctl(['daemon-reload'], signal);
  const done = [`${UNIT_NAME} removed`];
  if (!purge) return [...done, `${at(STATE_FOLDER)} stays: the identity and the models of the device (--purge removes them)`];
  // Of a user that systemd makes, the folder lies below private/ and the usual name is a link to it.
  for (const path of [STATE_FOLDER, `/var/lib/private/${UNIT_NAME}`]) await rm(at(path), { force: true, recursive: true });
  return [...done, `${at(STATE_FOLDER)} removed`];
}

/** @returns whether it is about the running system. */
function needRights(root: string): boolean {
  const isThisSystem = resolve(root) === '/';
  if (isThisSystem && process.getuid?.() !== 0) {
    throw new AppError('FORBIDDEN', {
      message: 'Only root may install services.',
      hint: 'Run it with sudo; "--print" shows the unit without installing it.',
    });
  }
  if (isThisSystem && !existsSync('/run/systemd/system')) {
    throw new AppError('SETUP_INCOMPLETE', {
      message: 'This system is not run by systemd.',
      hint: '"--root DIR" installs into the tree of another system; "--print" shows the unit.',
    });
  }
  return isThisSystem;
}

/** The service sees neither home folders nor /tmp of this system. */
function assertVisible(program: readonly string[]): void {
  const hidden = [process.execPath, ...program].find((path) => /^\/(home|root|tmp|var\/tmp|run\/user)\//.test(path));
  if (hidden === undefined) return;
  throw new AppError('SETUP_INCOMPLETE', {
    message: `${hidden} lies where a service with a user of its own cannot read it.`,
    hint: 'Install Node and the agent for the whole system, e.g. below /opt.',
  });
}

async function systemctl(args: readonly string[], signal?: AbortSignal): Promise<void> {
  try {
    await run('systemctl', [...args], signal === undefined ? {} : { signal });
  } catch (cause) {
    const reason = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : String(cause);
    throw new AppError('SETUP_INCOMPLETE', { message: `systemctl ${args.join(' ')} failed: ${reason}` }, { cause });
  }
}
