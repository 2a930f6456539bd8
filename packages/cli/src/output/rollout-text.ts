import { type Rollout, type RolloutDevice, type TrialArm, type TrialCheck, transferOf } from '@selvedge/contract';
import type { Session } from '../session.ts';
import { ageOf, formatBytes, formatNumber, orDash } from './format.ts';
import { type Cell, renderFields, renderTable } from './table.ts';

const DONE: readonly string[] = ['passed'];

function strategyText({ policy }: Rollout['spec']): string {
  const waves = (policy.waves ?? []).join(', ');
  const trial = policy.trial === undefined ? 'no trial' : `trial ${policy.trial.durationS} s`;
  return [policy.strategy ?? 'all-at-once', waves === '' ? '' : `waves ${waves}`, trial].filter((part) => part !== '').join('; ');
}

function progressText({ status }: Rollout): string {
  const done = status.devices.filter(({ state }) => DONE.includes(state)).length;
  return `${done} of ${status.devices.length}`;
}

/** `12 MiB of 310 MiB (4 %)`; what was not sent was on the devices, or came as a patch. */
function sentText(transfer: RolloutDevice['transfer'] | undefined): string {
  if (transfer == null) return '-';
  const { fetchedBytes, wholeBytes } = transfer;
  const share = wholeBytes === 0 ? 0 : (fetchedBytes / wholeBytes) * 100;
  return `${formatBytes(fetchedBytes)} of ${formatBytes(wholeBytes)} (${share > 0 && share < 1 ? '<1' : Math.round(share)} %)`;
}

function sentFact({ status }: Rollout): string {
  const total = transferOf(status);
  if (total === undefined) return '-';
  const parts = [`${formatBytes(total.sharedBytes)} were there`, `${formatBytes(total.patchedBytes)} came as patches`];
  return `${sentText(total)}; ${parts.join(', ')}`;
}

export function rolloutTable(session: Session, rollouts: readonly Rollout[]): string {
  const rows = rollouts.map((rollout): Cell[] => {
    const { metadata, spec, status } = rollout;
    return [
      metadata.name,
      spec.inferenceModel,
      `${spec.model}:${spec.toVersion}`,
      orDash(spec.fromVersion),
      session.state(status.phase),
      status.waves.length === 0 ? '-' : `${Math.min(status.wave + 1, status.waves.length)} of ${status.waves.length}`,
      progressText(rollout),
      ageOf(metadata.createdAt, session.io.now()),
    ];
  });
  return renderTable(['ROLLOUT', 'INFERENCEMODEL', 'VERSION', 'FROM', 'STATE', 'WAVE', 'DEVICES', 'AGE'], rows);
}

const number = (value: number | null): string => (value === null ? '-' : formatNumber(value));

function verdict({ passed }: TrialCheck): string {
  return passed === null ? 'not measured' : passed ? 'passed' : 'failed';
}

function checkRows(session: Session, where: string, checks: readonly TrialCheck[]): Cell[][] {
  return checks.map((check) => [
    where,
    check.gate,
    number(check.value),
    number(check.baseline),
    number(check.bar),
    String(check.samples),
    session.state(verdict(check)),
  ]);
}

function armRows({ device, arms }: RolloutDevice): string[][] {
  return arms.map((arm: TrialArm) => [
    device,
    arm.version,
    String(arm.requests),
    String(arm.errors),
    number(arm.p50Ms),
    number(arm.p95Ms),
    number(arm.meanConfidence),
  ]);
}

/** Waves, devices, gates with their numbers, and arms. */
export function rolloutText(session: Session, rollout: Rollout): string {
  const { metadata, spec, status } = rollout;
  const now = session.io.now();
  const { golden } = status;
  const facts = renderFields([
    ['Rollout', metadata.name],
    ['State', session.state(status.phase)],
    ['Message', orDash(status.message)],
    ['InferenceModel', `${spec.inferenceModel} (generation ${spec.generation})`],
    ['Version', `${spec.model}:${spec.toVersion}, before ${orDash(spec.fromVersion)}`],
    ['Cause', spec.cause],
    ['Policy', strategyText(spec)],
    ['Attempt', String(status.attempt)],
    ['Devices', progressText(rollout)],
    ['Sent', sentFact(rollout)],
    ['Golden set', golden === null ? orDash(spec.policy.golden?.dataset) : `${golden.samples} samples, sha256 ${golden.sha256}`],
    ['Started', `${ageOf(status.startedAt, now)} ago`],
    ['Finished', status.finishedAt === null ? '-' : `${ageOf(status.finishedAt, now)} ago`],
  ]);
  const waves = renderTable(
    ['WAVE', 'DEVICES', 'STATE', 'MESSAGE'],
    status.waves.map((wave) => [String(wave.index + 1), String(wave.devices), session.state(wave.state), wave.message]),
  );
  const devices = renderTable(
    ['DEVICE', 'WAVE', 'STATE', 'FROM', 'SENT', 'REVERTED IN', 'MESSAGE'],
    status.devices.map((one) => [
      one.device,
      String(one.wave + 1),
      session.state(one.state),
      orDash(one.fromVersion),
      sentText(one.transfer),
      one.revertedInMs === null ? '-' : `${formatNumber(one.revertedInMs)} ms`,
      one.message,
    ]),
  );
  const gates = [
    ...status.waves.flatMap((wave) => checkRows(session, `wave ${wave.index + 1}`, wave.checks)),
    ...status.devices.flatMap((one) => checkRows(session, one.device, one.checks)),
  ];
  const arms = status.devices.flatMap(armRows);
  return [
    facts,
    status.waves.length === 0 ? '' : waves,
    status.devices.length === 0 ? '' : devices,
    gates.length === 0 ? '' : renderTable(['WHERE', 'GATE', 'VALUE', 'BEFORE', 'BAR', 'SAMPLES', 'VERDICT'], gates),
    arms.length === 0 ? '' : renderTable(['DEVICE', 'VERSION', 'REQUESTS', 'ERRORS', 'P50 MS', 'P95 MS', 'CONFIDENCE'], arms),
  ]
    .filter((part) => part !== '')
    .join('\n\n');
}
