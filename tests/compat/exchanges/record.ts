// Records what today's agent and today's server say to each other: node --import tsx tests/compat/exchanges/record.ts NAME
// Recordings are never edited; a new one gets a new folder.
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { waitUntil } from '@selvedge/runtime';
import { agentCommand } from '../../../packages/agent/src/testing/agent-command.ts';
import { CertificateAuthority } from '../../../packages/server/src/adapters/tls/certificate-authority.ts';
import { PlaneRig } from '../../../packages/server/src/testing/plane-rig.ts';
import { MODEL_BYTES } from './harness/model-bytes.ts';
import { Normaliser } from './harness/normalise.ts';
import { type Recorded, RecordingRelay } from './harness/recording-relay.ts';

const execute = promisify(execFile);
const [program = '', ...base] = agentCommand();

async function identityIn(dir: string): Promise<{ key: string; cert: string } | undefined> {
  const path = join(dir, 'identity.json');
  if (!existsSync(path)) return undefined;
  const { keyPem, certPem } = JSON.parse(await readFile(path, 'utf8')) as { keyPem: string; certPem: string };
  return { key: keyPem, cert: certPem };
}

async function record(rig: PlaneRig, dir: string): Promise<readonly Recorded[]> {
  const authority = new CertificateAuthority({ folder: join(rig.folder, 'authority'), clock: () => new Date() });
  await authority.start();
  const credentials = await authority.serverCredentials([]);
  const relay = new RecordingRelay({ credentials, caPem: authority.trust.caPem, targetPort: rig.port, identity: () => identityIn(dir) });
  const url = await relay.start();
  const until = (what: string, isIt: (line: Recorded) => boolean) => waitUntil(() => relay.lines.some(isIt), { timeoutMs: 30_000, what });
  const { token } = await rig.plane.desk.createToken({ labels: {} });
  await execute(program, [...base, 'join', url, '--token', token, '--dir', dir, '--name', 'recorded', '--label', 'site=lab']);
  const child = spawn(
    program,
    [...base, 'run', '--dir', dir, '--telemetry-interval-s', '1', '--telemetry-batch-s', '1', '--target', 'linux-amd64'],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  try {
    await until('telemetry', ({ topic }) => String(topic).endsWith('/telemetry'));
    await rig.addVersion('digits', '1', MODEL_BYTES);
    await rig.deploy('reader');
    await until(
      'a version that serves',
      ({ topic, payload }) => String(topic).endsWith('/reported') && JSON.stringify(payload).includes('"state":"serving"'),
    );
    await rig.plane.rotateCa({});
    await until('a renewal', ({ path }) => path === '/device/v1/renew');
    await until('a reply', ({ topic }) => String(topic).endsWith('/replies'));
  } finally {
    child.kill('SIGTERM');
    await new Promise((resolve) => child.once('exit', resolve));
    relay.stop();
  }
  return relay.lines;
}

const name = process.argv[2];
if (name === undefined || !/^v\d+-[a-z0-9.-]+$/.test(name)) throw new Error('Give the folder a name like v1-0.1.0.');
const folder = fileURLToPath(new URL(`recordings/${name}`, import.meta.url));
if (existsSync(folder)) throw new Error(`${folder} exists; recordings are never edited.`);
const dir = await mkdtemp(join(tmpdir(), 'selvedge-record-'));
const rig = await PlaneRig.start();
try {
  const lines = new Normaliser().lines(await record(rig, dir));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'exchange.jsonl'), `${lines.join('\n')}\n`);
  process.stdout.write(`${lines.length} lines in ${folder}\n`);
} finally {
  await rig.stop();
  await rm(dir, { recursive: true, force: true });
}
process.exit();
