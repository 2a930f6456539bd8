import { expectThat } from '@selvedge/runtime/mismatch';
import type { Examination } from '../examination.ts';
import type { Check } from './check.ts';

async function ignoresUnknownFields(on: Examination): Promise<void> {
  await on.running();
  await on.desireObserved([], { conformanceOnly: { nested: [1, 2, 3] }, anotherField: 'x' });
}

async function refusesAnotherVersion(on: Examination): Promise<void> {
  await on.running();
  const { mark } = on.seen;
  const revision = on.revision + 1000;
  on.server.send('desired', { v: 2, revision, workloads: [] });
  await on.quiet();
  await on.desireObserved([]);
  const took = on.reportsAfter(mark).some(({ report }) => report.observedRevision === revision);
  expectThat(!took, 'a desired state with v: 2 to be refused', `observedRevision ${revision}`);
}

async function ignoresLower(on: Examination): Promise<void> {
  await on.running();
  await on.desireObserved([]);
  const known = on.revision;
  const { mark } = on.seen;
  const workload = {
    name: 'from-the-past',
    kind: 'model-server',
    model: 'm',
    version: '1',
    manifest: { sha256: 'a'.repeat(64), sizeBytes: 1 },
    servingPort: 0,
  };
  on.server.send('desired', { v: 1, revision: known - 1, workloads: [workload] });
  await on.quiet();
  await on.desireObserved([]);
  for (const { report } of on.reportsAfter(mark)) {
    expectThat(report.observedRevision >= known, `observedRevision ${known} or higher`, report.observedRevision);
    expectThat(report.workloads.length === 0, 'no workload of a lower revision', report.workloads[0]?.name);
  }
}

async function keepsTheOrder(on: Examination): Promise<void> {
  await on.running();
  await on.desireObserved([]);
  const { revision } = on;
  const mark = await on.restart('stop', () => {
    on.server.retainedDesired = undefined;
  });
  const first = on.reportsAfter(mark)[0]?.report;
  on.desire([]);
  expectThat(
    first?.observedRevision === revision,
    `observedRevision ${revision} after a restart, with nothing sent since`,
    `${first?.observedRevision}`,
  );
}

export const ORDER_CHECKS: readonly Check[] = [
  { rule: 'R3', run: ignoresUnknownFields },
  { rule: 'R3', run: refusesAnotherVersion },
  { rule: 'R15', run: ignoresLower },
  { rule: 'R16', run: keepsTheOrder },
];
