import { parseTrialGate, type Rollout, type RolloutPolicy, rolloutPolicySchema, trialGateText } from '@selvedge/contract';

/** How a change reaches devices, as the dialog asks for it. */
export const ROLLOUT_CHOICES = ['keep', 'at-once', 'waves', 'shadow', 'split'] as const;
export type RolloutChoice = (typeof ROLLOUT_CHOICES)[number];

export interface RolloutForm {
  readonly choice: RolloutChoice;
  /** `1, 10%, 100%` */
  readonly waves: string;
  /** `crashes<=0, p95Ratio<=1.3` */
  readonly gates: string;
  readonly trialS: string;
  readonly manual: boolean;
}

const DEFAULTS = { waves: '1, 10%, 100%', gates: 'crashes<=0, errorRate<=0.02, p95Ratio<=1.5', trialS: '60', manual: false };

/** What the dialog begins with: the policy that holds already, or the usual gates. */
export function rolloutForm(policy: RolloutPolicy | undefined): RolloutForm {
  if (policy === undefined) return { choice: 'at-once', ...DEFAULTS };
  const gates = Object.entries(policy.gates ?? {}).flatMap(([gate, bar]) => (bar === undefined ? [] : [trialGateText(gate, bar)]));
  return {
    choice: 'keep',
    waves: policy.waves?.join(', ') ?? DEFAULTS.waves,
    gates: gates.length === 0 ? DEFAULTS.gates : gates.join(', '),
    trialS: String(policy.trial?.durationS ?? DEFAULTS.trialS),
    manual: policy.manual === true,
  };
}

export type ReadPolicy =
  | { ok: true; policy: RolloutPolicy | null | undefined }
  | { ok: false; field: 'waves' | 'gates' | 'trialS'; message: string };

/** The policy that a form asks for; what the form does not ask about stays as it was. */
export function readPolicy(form: RolloutForm, before: RolloutPolicy | undefined): ReadPolicy {
  if (form.choice === 'keep') return { ok: true, policy: undefined };
  if (form.choice === 'at-once') return { ok: true, policy: null };
  const gates: NonNullable<RolloutPolicy['gates']> = {};
  for (const text of parts(form.gates)) {
    const parsed = parseTrialGate(text);
    if (parsed === undefined) return { ok: false, field: 'gates', message: `"${text}" is not a gate, like p95Ratio<=1.3` };
    gates[parsed.gate] = parsed.bar;
  }
  const waves = parts(form.waves).map((text) => (/^\d+$/.test(text) ? Number(text) : text));
  const trial = { ...before?.trial, durationS: Number(form.trialS) };
  const manual = form.manual ? { manual: true } : {};
  const { manual: _asked, ...kept } = before ?? {};
  const parsed = rolloutPolicySchema.safeParse({ ...kept, strategy: form.choice, waves, trial, gates, ...manual });
  if (parsed.success) return { ok: true, policy: parsed.data };
  const [issue] = parsed.error.issues;
  const [first] = issue?.path ?? [];
  const field = first === 'trial' ? 'trialS' : first === 'gates' ? 'gates' : 'waves';
  const message = {
    waves: 'Numbers of devices or shares, like 1, 10%, 100%',
    gates: issue?.message ?? '',
    trialS: 'Whole seconds, at least 1',
  };
  return { ok: false, field, message: message[field] };
}

function parts(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

/** The newest rollout of an InferenceModel. */
export function newestRollout(rollouts: readonly Rollout[], inferenceModel: string): Rollout | undefined {
  const numberOf = ({ metadata }: Rollout) => Number(metadata.name.slice(metadata.name.lastIndexOf('-') + 1));
  return rollouts.filter(({ spec }) => spec.inferenceModel === inferenceModel).toSorted((a, b) => numberOf(b) - numberOf(a))[0];
}
