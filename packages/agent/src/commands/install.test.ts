import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, readlink, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatJoinToken } from '@selvedge/contract';
import { pathExists } from '@selvedge/runtime';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { installService, uninstallService, unitText } from './install.ts';

const UNIT = 'etc/systemd/system/selvedge-agent.service';
const token = formatJoinToken({ secret: 'a-secret-of-a-test-token', caSha256: 'ab'.repeat(32), expiresAt: '2031-01-01T00:00:00.000Z' });

/** Of systemd, where there is one. */
const ANALYZE = 'systemd-analyze';

function hasSystemdAnalyze(): boolean {
  try {
    execFileSync(ANALYZE, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('installing the service', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'root-'));
  });
  afterEach(() => rm(root, { recursive: true }));

  const install = (more: object = {}) => installService({ program: ['/bin/true'], memoryMax: '512M', root, ...more });

  it('writes an enabled unit into another tree, with a token that only root reads, and takes both away again', async () => {
    await install({ url: 'https://server:7443', token });
    await install({ url: 'https://server:7443', token });
    expect(await readFile(join(root, UNIT), 'utf8')).toContain('ExecStart=/bin/true run --dir /var/lib/selvedge-agent');
    expect(await readlink(join(root, 'etc/systemd/system/multi-user.target.wants/selvedge-agent.service'))).toBe(
      '../selvedge-agent.service',
    );
    const joinFile = join(root, 'etc/selvedge-agent/join.env');
    expect((await stat(joinFile)).mode & 0o777).toBe(0o600);
    expect(await readFile(joinFile, 'utf8')).toBe(`SELVEDGE_JOIN_URL=https://server:7443\nSELVEDGE_JOIN_TOKEN=${token}\n`);
    await uninstallService({ root, purge: true });
    await uninstallService({ root, purge: false });
    expect(await pathExists(join(root, UNIT))).toBe(false);
    expect(await pathExists(joinFile)).toBe(false);
  });

  it('refuses half an address, and what is no token', async () => {
    await expect(install({ url: 'https://server' })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(install({ url: 'https://server', token: 'x' })).rejects.toMatchObject({ code: 'JOIN_TOKEN_INVALID' });
    expect(await pathExists(join(root, UNIT))).toBe(false);
  });

  it.runIf(hasSystemdAnalyze())('makes a unit that systemd finds no fault with', async () => {
    await install();
    const verify = (path: string) => execFileSync(ANALYZE, ['verify', path], { stdio: 'pipe' });
    expect(() => verify(join(root, UNIT))).not.toThrow();
    expect(unitText({ program: ['/bin/true'], memoryMax: '1G' })).toContain('MemoryMax=1G');
  });
});
