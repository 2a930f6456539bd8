import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import {
  AppError,
  type DeviceJoin,
  type DeviceTokenFacts,
  MAX_OFFLINE_JOIN_BYTES,
  type OfflineJoinRequest,
  offlineJoinRequestSchema,
} from '@selvedge/contract';
import { readJsonFile, systemErrorCode } from '@selvedge/runtime';
import type { Command } from 'commander';
import { saveStream } from '../data/save-stream.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { collectLabels, integer, seconds } from '../options.ts';
import { ageOf, formatAge, formatLabels } from '../output/format.ts';
import { renderTable } from '../output/table.ts';
import { openSession, type Session } from '../session.ts';

const TTL_RANGE = '60s to 30d';

interface TokenOptions {
  ttl?: number;
  uses?: number;
  label?: Record<string, string>;
  approve?: boolean;
}

/** Registers the command that makes tokens, with those that list and revoke them below it. */
export function registerToken(command: Command, io: Io): void {
  const token = command
    .command('token')
    .description('make a token with which devices join; below it: list and revoke them')
    .option('--ttl <span>', `how long it works, ${TTL_RANGE} (default: 1h)`, seconds(60, 30 * 86_400, TTL_RANGE))
    .option('--uses <count>', 'how many devices may join with it (default: 1)', integer(1, 100_000))
    .option('--label <key=value>', 'label of the devices that join with it; may be repeated', collectLabels)
    .option('--approve', 'devices that join with it wait until "selvedge device approve"')
    .action(async (options: TokenOptions, called: Command) => {
      const session = await openSession(called, io);
      const { ttl, uses, label, approve } = options;
      const made = await session.client.createDeviceToken({
        body: {
          ...(ttl === undefined ? {} : { ttlS: ttl }),
          ...(uses === undefined ? {} : { uses }),
          ...(label === undefined ? {} : { labels: label }),
          ...(approve === undefined ? {} : { approve }),
        },
        signal: io.signal,
      });
      await session.result(made, () => made.token);
      const devices = made.uses === 1 ? 'one device' : `${made.uses} devices`;
      const within = formatAge(Date.parse(made.expiresAt) - io.now());
      const then = approve === true ? ', each once it is approved' : '';
      session.note(`It lets ${devices} join within ${within}${then}. On the device:\n  ${made.joinCommand}`);
    });
  finishLeaf(token, {
    examples: ['selvedge device token', 'selvedge device token --uses 20 --ttl 2h --label site=plant-3', 'selvedge device token --approve'],
  });
  registerTokenList(token, io);
}

function registerTokenList(token: Command, io: Io): void {
  const list = token
    .command('list')
    .description('show the tokens that have not expired, without their secrets')
    .action(async (_options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const { items } = await session.client.listDeviceTokens({ signal: io.signal });
      await session.result({ items }, () => (items.length === 0 ? '' : tokenTable(session, items)));
      if (items.length === 0) session.note('No tokens. "selvedge device token" makes one.');
    });
  finishLeaf(list, { examples: ['selvedge device token list'] });
  const revoke = token
    .command('revoke <id>')
    .description('revoke a token; devices that wait with it are refused, devices that have joined stay')
    .action(async (id: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      await session.client.revokeDeviceToken({ params: { id }, signal: io.signal });
      await session.result({ id, action: 'revoked' }, () => `Token ${id} revoked`);
    });
  finishLeaf(revoke, { examples: ['selvedge device token revoke 3f9c01ab77de'] });
}

function tokenTable(session: Session, tokens: readonly DeviceTokenFacts[]): string {
  const now = session.io.now();
  const rows = tokens.map((token) => [
    token.id,
    `${token.usesLeft} of ${token.uses}`,
    formatAge(Date.parse(token.expiresAt) - now),
    token.approve ? 'yes' : 'no',
    formatLabels(token.labels),
  ]);
  return renderTable(['TOKEN', 'LEFT', 'EXPIRES IN', 'APPROVAL', 'LABELS'], rows);
}

function joinTable(session: Session, joins: readonly DeviceJoin[]): string {
  const now = session.io.now();
  const rows = joins.map((join) => [
    join.name,
    session.state(join.state),
    join.address,
    ageOf(join.requestedAt, now),
    formatLabels(join.labels),
    join.keySha256,
  ]);
  return renderTable(['DEVICE', 'STATE', 'FROM', 'AGE', 'LABELS', 'KEY'], rows);
}

/** Registers what operators do about devices that wait for approval. */
export function registerApproval(command: Command, io: Io): void {
  const pending = command
    .command('pending')
    .description('show devices that wait to be approved')
    .action(async (_options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const { items } = await session.client.listDeviceJoins({ signal: io.signal });
      await session.result({ items }, () => (items.length === 0 ? '' : joinTable(session, items)));
      session.note(items.length === 0 ? 'No device waits for approval.' : 'The agent on the device shows the same key: compare them.');
    });
  finishLeaf(pending, { examples: ['selvedge device pending'] });
  const approve = command
    .command('approve [name]')
    .description('let a device that waits join')
    .option('--all', 'every device that waits now')
    .action(async (name: string | undefined, options: { all?: boolean }, called: Command) => {
      if ((name === undefined) === (options.all !== true)) throw new AppError('USAGE', { message: 'Give a name, or --all.' });
      const session = await openSession(called, io);
      const waiting = name === undefined ? await namesWaiting(session) : [name];
      const approved: DeviceJoin[] = [];
      for (const one of waiting) approved.push(await session.client.approveDeviceJoin({ params: { name: one }, signal: io.signal }));
      await session.result({ items: approved }, () => approved.map((join) => `Device/${join.name} approved`).join('\n'));
      if (approved.length === 0) session.note('No device waits for approval.');
    });
  finishLeaf(approve, { examples: ['selvedge device approve edge-1', 'selvedge device approve --all'] });
  const reject = command
    .command('reject <name>')
    .description('refuse a device that waits')
    .action(async (name: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      await session.client.rejectDeviceJoin({ params: { name }, signal: io.signal });
      await session.result({ name, action: 'rejected' }, () => `Device/${name} rejected`);
    });
  finishLeaf(reject, { examples: ['selvedge device reject edge-1'] });
}

interface SignOptions {
  out: string;
  name?: string;
  label?: Record<string, string>;
}

async function readRequest(session: Session, file: string): Promise<OfflineJoinRequest> {
  const path = resolve(session.io.cwd, file);
  let size: number;
  try {
    size = (await stat(path)).size;
  } catch (cause) {
    throw new AppError('FILE_UNREADABLE', { message: `${file} cannot be read (${systemErrorCode(cause) ?? 'unknown error'}).` }, { cause });
  }
  const request = size <= MAX_OFFLINE_JOIN_BYTES ? await readJsonFile(path, offlineJoinRequestSchema) : undefined;
  if (request !== undefined) return request;
  throw new AppError('INPUT_INVALID', { message: `${file} is not a request that "selvedge agent join --offline" wrote.` });
}

/** Registers the command by which a device joins that no network leads to. */
export function registerSignRequest(command: Command, io: Io): void {
  const sign = command
    .command('sign-request <file>')
    .description('make a device of one that has asked in a file ("selvedge agent join --offline"); the answer goes back to it')
    .requiredOption('-o, --out <file>', 'file to write the answer to')
    .option('--name <name>', 'name of the device; wins over the one that it wishes')
    .option('--label <key=value>', 'label of the device; may be repeated', collectLabels)
    .action(async (file: string, { out, name, label }: SignOptions, called: Command) => {
      const session = await openSession(called, io);
      const request = await readRequest(session, file);
      const body = { ...request, ...(name === undefined ? {} : { name }), labels: { ...request.labels, ...label } };
      const answer = await session.client.signDeviceRequest({ body, signal: io.signal });
      const path = resolve(io.cwd, out);
      await saveStream(path, [`${JSON.stringify(answer, null, 2)}\n`]);
      const { device, authoritySha256 } = answer;
      await session.result({ device, path, authoritySha256 }, () => `${path}: the answer for device "${device}"`);
      session.note(`On the device: selvedge agent join --answer FILE --ca-sha256 ${authoritySha256}`);
    });
  finishLeaf(sign, { output: 'file', examples: ['selvedge device sign-request edge-1.request -o edge-1.answer --label site=plant-3'] });
}

async function namesWaiting(session: Session): Promise<string[]> {
  const { items } = await session.client.listDeviceJoins({ signal: session.io.signal });
  return items.filter(({ state }) => state === 'waiting').map(({ name }) => name);
}
