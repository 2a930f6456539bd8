import {
  AppError,
  AT_LEAST_GATES,
  type DeviceCount,
  parseTrialGate,
  type RolloutPolicy,
  rolloutPolicyInputSchema,
  TRIAL_GATE_NAMES,
  type TrialGates,
} from '@selvedge/contract';

/** The options of a command that say how a change reaches devices. */
export interface RolloutOptions {
  strategy?: 'all-at-once' | 'waves' | 'shadow' | 'split';
  waves?: string;
  order?: 'name' | 'link';
  gate?: string[];
  trial?: number;
  minRequests?: number;
  share?: number;
  maxUnavailable?: string;
  maxFailed?: number;
  soak?: number;
  manual?: boolean;
  onFailure?: 'revert' | 'pause';
  golden?: string;
  goldenSamples?: number;
}

/** The policy that options ask for; undefined when they ask for none. @throws AppError USAGE */
export function policyOf(options: RolloutOptions): RolloutPolicy | undefined {
  const policy = {
    ...given('strategy', options.strategy),
    ...given(
      'waves',
      options.waves?.split(',').map((wave) => deviceCount(wave.trim())),
    ),
    ...given('order', options.order),
    ...given('maxUnavailable', options.maxUnavailable === undefined ? undefined : deviceCount(options.maxUnavailable)),
    ...given('share', options.share),
    ...given('trial', trialOf(options)),
    ...given('gates', options.gate === undefined ? undefined : gatesOf(options.gate)),
    ...given('maxFailed', options.maxFailed),
    ...given('golden', goldenOf(options)),
    ...given('soakS', options.soak),
    ...given('manual', options.manual),
    ...given('onFailure', options.onFailure),
  };
  if (Object.keys(policy).length === 0) return undefined;
  const parsed = rolloutPolicyInputSchema.safeParse(policy);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new AppError('USAGE', {
    message: `The rollout's ${issue === undefined ? 'policy' : formatPath(issue.path)} ${issue?.message ?? 'is not valid'}.`,
  });
}

function given<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  const entry: Partial<Record<K, V>> = {};
  if (value !== undefined) entry[key] = value;
  return entry;
}

function deviceCount(text: string): DeviceCount {
  return /^\d+$/.test(text) ? Number(text) : text;
}

function trialOf({ trial, minRequests }: RolloutOptions) {
  return trial === undefined && minRequests === undefined
    ? undefined
    : { ...given('durationS', trial), ...given('minRequests', minRequests) };
}

function goldenOf({ golden, goldenSamples }: RolloutOptions) {
  return golden === undefined ? undefined : { dataset: golden, ...given('samples', goldenSamples) };
}

/** `p95Ratio<=1.3`, `agreement>=0.95`. */
function gatesOf(texts: readonly string[]): TrialGates {
  const gates: TrialGates = {};
  for (const text of texts) {
    const parsed = parseTrialGate(text);
    if (parsed === undefined) throw noGate(text);
    gates[parsed.gate] = parsed.bar;
  }
  return gates;
}

function noGate(text: string): AppError {
  const forms = TRIAL_GATE_NAMES.map((gate) => `${gate}${AT_LEAST_GATES.has(gate) ? '>=' : '<='}NUMBER`);
  const meant = forms.find((form) => text.startsWith(form.slice(0, form.search(/[<>]/))));
  const message = meant === undefined ? `"${text}" is not a gate.` : `"${text}" is not a gate; it is written ${meant}.`;
  return new AppError('USAGE', { message, hint: `Gates: ${forms.join(', ')}.` });
}

/** `waves[1]` */
function formatPath(path: readonly PropertyKey[]): string {
  return path.map((part, at) => (typeof part === 'number' ? `[${part}]` : `${at === 0 ? '' : '.'}${String(part)}`)).join('');
}
