import type { Condition, Device, DeviceServing, InferenceModel, InferenceModelStatus, Rollout, WorkloadReport } from '@selvedge/contract';
import { gateText } from './gates.ts';
import type { PlacementOutcome } from './placement.ts';

interface Facts {
  type: string;
  status: Condition['status'];
  reason: string;
  message: string;
}

/**
 * The status of an InferenceModel as its devices report it; never what is intended. Deterministic: the same reports give
 * the same status, with `lastTransitionTime` kept while a condition's status stays.
 */
export function inferenceModelStatus(
  model: InferenceModel,
  outcome: PlacementOutcome,
  findDevice: (name: string) => Device | undefined,
  nowIso: string,
  rollout?: Rollout,
): InferenceModelStatus {
  const selected = outcome.selected.map((name) => {
    const device = findDevice(name);
    const report = device?.status.workloads.find(
      (workload) => workload.name === model.metadata.name && workload.model === model.spec.modelName,
    );
    return { serving: deviceServing(name, device, report, outcome), current: isCurrent(model, outcome, report) };
  });
  const devices = selected.map((entry) => entry.serving);
  const versions = new Set(devices.map((device) => device.servingVersion));
  const [onlyVersion] = versions;
  const facts = [
    availableFacts(model, outcome, devices),
    progressingFacts(
      outcome,
      devices.filter((_, index) => selected[index]?.current !== true),
      rollout,
    ),
    ...gateFactsOf(outcome),
  ];
  return {
    url: devices.find((device) => device.url !== null)?.url ?? '',
    servingVersion: versions.size === 1 ? (onlyVersion ?? '') : '',
    resolvedVersion: outcome.resolvedVersion,
    observedGeneration: model.metadata.generation,
    devices,
    conditions: facts.map((condition) => withTransitionTime(condition, model.status.conditions, nowIso)),
  };
}

/** Said of a device that its rollout keeps on what it had. */
const WITHHELD = 'The rollout does not let it have the new version now.';

function isCurrent({ spec }: InferenceModel, outcome: PlacementOutcome, report: WorkloadReport | undefined): boolean {
  const port = spec.servingPort ?? 0;
  return (
    report?.state === 'serving' &&
    report.servingVersion === outcome.resolvedVersion &&
    report.desiredVersion === outcome.resolvedVersion &&
    (port === 0 || report.port === port)
  );
}

function deviceServing(
  name: string,
  device: Device | undefined,
  report: WorkloadReport | undefined,
  outcome: PlacementOutcome,
): DeviceServing {
  const away = device?.status.online === true ? '' : 'The device is offline.';
  const rejection = outcome.rejected.get(name);
  const url = report?.servingVersion != null && report.port !== null ? `http://127.0.0.1:${report.port}` : null;
  const runtime = report?.servingVersion == null ? undefined : report.runtime;
  const base = { device: name, servingVersion: report?.servingVersion ?? null, url, ...(runtime === undefined ? {} : { runtime }) };
  if (rejection !== undefined) return { ...base, state: 'failed', message: rejection.message };
  if (outcome.withheld.has(name)) return { ...base, state: report?.state ?? 'pending', message: `${WITHHELD} ${away}`.trim() };
  if (report?.held != null && report.servingVersion !== outcome.resolvedVersion)
    return { ...base, state: 'pending', message: `Held (${report.held.reason}): ${report.held.message}` };
  if (report === undefined) return { ...base, state: 'pending', message: away === '' ? 'The device has not taken it up yet.' : away };
  const stale = outcome.resolvedVersion !== '' && report.desiredVersion !== outcome.resolvedVersion;
  if (stale)
    return { ...base, state: 'pending', message: `The device has not taken up version ${outcome.resolvedVersion} yet. ${away}`.trim() };
  const { error, nativeError } = report;
  if (error !== null) return { ...base, state: report.state, message: `${error.code}: ${error.message}` };
  const fallback = nativeError == null ? '' : `The native package does not serve: ${nativeError.code}: ${nativeError.message}`;
  return { ...base, state: report.state, message: away === '' ? fallback : away };
}

function availableFacts(model: InferenceModel, outcome: PlacementOutcome, devices: readonly DeviceServing[]): Facts {
  const no = (reason: string, message: string): Facts => ({ type: 'Available', status: 'False', reason, message });
  const serving = devices.filter((device) => device.servingVersion !== null).length;
  if (outcome.refusal !== null && serving < Math.max(devices.length, 1)) return no(outcome.refusal.reason, outcome.refusal.message);
  const [rejection] = outcome.rejected.values();
  if (rejection !== undefined) return no(rejection.reason, rejection.message);
  if (devices.length === 0) {
    if (model.spec.replicas === 0) return no('ScaledToZero', 'replicas is 0.');
    return no('NoMatchingDevice', `No device matches ${describeSelection(model)}.`);
  }
  const message = `${serving} of ${devices.length} devices serve it.`;
  return serving === devices.length ? { type: 'Available', status: 'True', reason: 'Serving', message } : no('NotAllServing', message);
}

/** @param behind - those that do not serve the wanted version yet. */
function progressingFacts(outcome: PlacementOutcome, behind: readonly DeviceServing[], rollout: Rollout | undefined): Facts {
  const facts = (status: Condition['status'], reason: string, message: string): Facts => ({ type: 'Progressing', status, reason, message });
  if (outcome.refusal !== null) return facts('False', outcome.refusal.reason, outcome.refusal.message);
  if (outcome.selected.length === 0) return facts('False', 'NoMatchingDevice', 'There is no device to serve it.');
  if (behind.length === 0) return facts('False', 'Complete', `Version ${outcome.resolvedVersion} is served everywhere.`);
  if (rollout !== undefined && outcome.withheld.size > 0) {
    const { phase, message } = rollout.status;
    const told = `Rollout ${rollout.metadata.name} is ${phase}. ${message}`.trim();
    if (phase === 'failed' || phase === 'aborted') return facts('False', phase === 'failed' ? 'RolloutFailed' : 'RolloutAborted', told);
    if (phase === 'paused') return facts('True', 'RolloutPaused', told);
  }
  const [failed] = behind.filter((device) => device.state === 'failed');
  if (failed !== undefined && behind.every((device) => device.state === 'failed')) {
    const reason = outcome.rejected.get(failed.device)?.reason ?? 'WorkloadFailed';
    return facts('False', reason, `${failed.device}: ${failed.message}`);
  }
  return facts(
    'True',
    'RollingOut',
    `${behind.length} of ${outcome.selected.length} devices do not serve version ${outcome.resolvedVersion} yet.`,
  );
}

/** Only where the task has something to check. */
function gateFactsOf({ gates }: PlacementOutcome): Facts[] {
  if (gates === undefined) return [];
  const told = gates.results.map((result) => `${gateText(result)}: ${result.message}`);
  const message = [...told, ...gates.issues].join('; ');
  const failed = gates.results.find((result) => result.passed === false);
  if (failed !== undefined) {
    const reason = gates.results.some((result) => result.passed === false && result.value !== null) ? 'GateNotPassed' : 'GateNotMeasured';
    return [{ type: 'GatesPassed', status: 'False', reason, message }];
  }
  if (gates.issues.length > 0) return [{ type: 'GatesPassed', status: 'Unknown', reason: 'GateUnreadable', message }];
  return [{ type: 'GatesPassed', status: 'True', reason: 'GatesPassed', message }];
}

function describeSelection({ spec }: InferenceModel): string {
  const parts = Object.entries(spec.nodeSelector ?? {}).map(([key, value]) => `${key}=${value}`);
  if (spec.nodeName !== undefined && spec.nodeName !== '') parts.push(`nodeName ${spec.nodeName}`);
  return parts.length === 0 ? 'because none has joined' : parts.join(', ');
}

function withTransitionTime(facts: Facts, previous: readonly Condition[], nowIso: string): Condition {
  const before = previous.find((condition) => condition.type === facts.type);
  return { ...facts, lastTransitionTime: before?.status === facts.status ? before.lastTransitionTime : nowIso };
}

/** On how many devices each version answers requests, by `model/version`. */
export function countServing(devices: Iterable<Device>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const device of devices) {
    const served = new Set(device.status.workloads.flatMap((w) => (w.servingVersion === null ? [] : [`${w.model}/${w.servingVersion}`])));
    for (const key of served) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}
