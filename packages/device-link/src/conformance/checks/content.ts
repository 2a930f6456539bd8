import { randomBytes } from 'node:crypto';
import type { DesiredWorkload } from '@selvedge/contract';
import { sha256Hex } from '@selvedge/runtime';
import { expectThat } from '@selvedge/runtime/mismatch';
import { type Examination, fieldOf, requestsIn } from '../examination.ts';
import { type ExampleVersion, exampleVersion } from '../example-workload.ts';
import { NotObservable } from '../not-observable.ts';
import type { SeenRequest } from '../seen.ts';
import type { Check } from './check.ts';

const CUT_AT = 128 * 1024;
/** One transparent pixel. */
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

function put(on: Examination, version: ExampleVersion): void {
  for (const [sha256, content] of version.blobs) on.server.http.blobs.set(sha256, content);
}

const isOf = (sha256: string) => (request: SeenRequest) => request.method === 'GET' && request.path === `/device/v1/blobs/${sha256}`;

function rangeOf({ headers }: SeenRequest): number | undefined {
  const text = /^bytes=(\d+)-/.exec(String(headers.range ?? ''))?.[1];
  return text === undefined ? undefined : Number(text);
}

/** The first version, whose large file is cut once on its way. */
async function resumes(on: Examination): Promise<void> {
  await on.restart('kill');
  const version = exampleVersion('1');
  put(on, version);
  let cuts = 0;
  on.server.http.blobFault = (sha256, offset) => {
    if (sha256 !== version.bulkSha256 || offset > 0 || cuts > 0) return undefined;
    cuts += 1;
    return { cutAfterBytes: CUT_AT };
  };
  const mark = on.desire([version.workload]);
  const asked = () => requestsIn(on.seen.after(mark)).filter(isOf(version.bulkSha256));
  await on.waitFor(mark, 'GET of the manifest', (events) => requestsIn(events).find(isOf(version.workload.manifest.sha256)));
  await on.waitFor(mark, 'GET of a file that the manifest names', () => asked()[0]);
  const again = await on.waitFor(mark, 'GET of the same file after the download was cut', () => asked()[1], 40_000);
  on.server.http.blobFault = undefined;
  const from = rangeOf(again);
  const isRest = from !== undefined && from > 0 && from <= CUT_AT;
  expectThat(isRest, `Range: bytes=N- with N up to ${CUT_AT}, where the download was cut`, `Range: ${again.headers.range ?? 'none'}`);
}

/** Lets the device have a first version. @throws NotObservable when it does not serve it. */
async function needServing(on: Examination): Promise<void> {
  await on.running();
  if (on.serves === undefined) {
    const version = exampleVersion('1');
    put(on, version);
    const mark = on.desire([version.workload]);
    const settled = await on
      .workload(mark, 'the example to serve', ({ servingVersion, state }) => servingVersion === '1' || state === 'failed')
      .catch(() => undefined);
    on.serves = settled?.servingVersion === '1';
  }
  if (!on.serves) throw new NotObservable('the device does not serve the example');
}

/** Orders something bad over what serves, and waits until the device says so. */
async function refusesToServe(on: Examination, workload: DesiredWorkload, why: string): Promise<void> {
  const mark = on.desire([workload]);
  const report = await on.workload(
    mark,
    `a report that says why version ${workload.version} does not serve (${why})`,
    ({ error }) => error !== null,
  );
  await on.quiet();
  const served = on
    .reportsAfter(mark)
    .some((seen) => seen.report.workloads.some(({ servingVersion }) => servingVersion === workload.version));
  expectThat(!served, `version ${workload.version} not to serve: ${why}`, `servingVersion "${workload.version}"`);
  if (on.serves === true)
    expectThat(report.servingVersion === '1', 'the version of before to go on serving', String(report.servingVersion));
}

async function refusesCorrupted(on: Examination): Promise<void> {
  await needServing(on).catch(ignoreBlindness);
  const version = exampleVersion('corrupted');
  put(on, version);
  on.server.http.blobFault = (sha256) => (sha256 === version.modelSha256 ? 'corrupt' : undefined);
  try {
    await refusesToServe(on, version.workload, 'its file has another digest than ordered');
  } finally {
    on.server.http.blobFault = undefined;
  }
}

/** Of an agent that does not serve it can be seen as well what it refuses. */
function ignoreBlindness(error: unknown): void {
  if (!(error instanceof NotObservable)) throw error;
}

async function waitsForGolden(on: Examination): Promise<void> {
  await needServing(on);
  const version = exampleVersion('no-golden', { wrongGolden: true });
  put(on, version);
  await refusesToServe(on, version.workload, 'it does not give its golden output');
}

async function saysWhatAnswers(on: Examination): Promise<void> {
  await needServing(on);
  const { mark } = on.seen;
  const id = on.command({ type: 'infer', workload: 'channels', contentType: 'image/png', bodyBase64: PIXEL });
  const reply = await on.reply(mark, id, 'infer');
  const reported = on
    .reportsAfter(0)
    .at(-1)
    ?.report.workloads.find(({ name }) => name === 'channels')?.servingVersion;
  const answered = fieldOf(reply, 'outcome', 'infer', 'version');
  expectThat(answered === reported, `an answer of the version that is reported to serve, ${reported}`, reply);
}

async function servesFromDisk(on: Examination): Promise<void> {
  await needServing(on);
  const mark = await on.restart('kill', () => {
    on.server.retainedDesired = undefined;
  });
  await on.workload(mark, 'the version of before to serve again after a restart', ({ servingVersion }) => servingVersion === '1');
  const asked = requestsIn(on.seen.after(mark)).find(({ path }) => path.startsWith('/device/v1/blobs/') && !/\/0{64}$/.test(path));
  expectThat(asked === undefined, 'no download for what is on disk', asked?.path);
}

/** A package that nobody has signed. */
async function refusesUnsigned(on: Examination): Promise<void> {
  await on.running();
  const target = on.reportsAfter(0).at(-1)?.report.info.targets?.[0];
  if (target === undefined) throw new NotObservable('the device names no target whose packages it runs');
  const version = exampleVersion('unsigned');
  put(on, version);
  const archive = randomBytes(4096);
  on.server.http.blobs.set(sha256Hex(archive), archive);
  const native = {
    package: 'unsigned-package',
    model: 'channels',
    version: 'unsigned',
    target,
    archive: { sha256: sha256Hex(archive), sizeBytes: archive.length },
    manifestSha256: 'b'.repeat(64),
  };
  const mark = on.desire([{ ...version.workload, native }]);
  await on.waitFor(mark, 'GET of the package', (events) => requestsIn(events).find(isOf(native.archive.sha256)));
  await on.workload(
    mark,
    'a report that says why the package does not serve',
    ({ nativeError, error }) => (nativeError ?? error ?? null) !== null,
  );
  const runs = on.reportsAfter(mark).some(({ report }) => report.workloads.some(({ runtime }) => runtime === native.package));
  expectThat(!runs, 'a package without a signature not to run', `runtime "${native.package}"`);
}

/** What is not ordered any more goes. */
async function letsGo(on: Examination): Promise<void> {
  await on.running();
  const version = exampleVersion('1');
  put(on, version);
  const mark = on.desire([version.workload]);
  await on.workload(mark, 'a report of the workload that was ordered', () => true);
  const after = on.desire([]);
  const { revision } = on;
  await on.report(
    after,
    'a report without the workload that is not ordered any more',
    (report) => report.observedRevision === revision && report.workloads.length === 0,
  );
  on.serves = undefined;
}

export const CONTENT_CHECKS: readonly Check[] = [
  { rule: 'R17', run: resumes },
  { rule: 'R23', run: saysWhatAnswers },
  { rule: 'R16', run: servesFromDisk },
  { rule: 'R17', run: refusesCorrupted },
  { rule: 'R19', run: waitsForGolden },
  { rule: 'R18', run: refusesUnsigned },
  { rule: 'R15', run: letsGo },
];
