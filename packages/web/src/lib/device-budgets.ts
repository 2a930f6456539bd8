import { type BudgetName, type DeviceBudgets, deviceBudgetsSchema } from '@selvedge/contract';

interface BudgetField {
  readonly name: BudgetName;
  readonly label: string;
  /** Of `selvedge device set`. */
  readonly flag: string;
  /** What is wrong with a value that the contract refuses. */
  readonly fault: string;
  /** Values to choose from; a number without it. */
  readonly choices?: readonly (readonly [value: string, text: string])[];
}

const SECONDS = 'Seconds from 1 to 86,400';

export const BUDGET_FIELDS: readonly BudgetField[] = [
  { name: 'trafficMiBPerDay', label: 'Traffic, MiB a day', flag: '--traffic-mib-per-day', fault: 'MiB from 0.01 to 1,048,576' },
  { name: 'diskMiB', label: 'Disk, MiB', flag: '--disk-mib', fault: 'MiB from 1' },
  { name: 'spoolMiB', label: 'Kept telemetry, MiB', flag: '--spool-mib', fault: 'MiB from 0.25 to 65,536' },
  { name: 'memoryLimitMiB', label: 'Memory per model, MiB', flag: '--memory-limit-mib', fault: 'Whole MiB from 16' },
  { name: 'cpuLimit', label: 'CPU per model, cores', flag: '--cpu-limit', fault: 'Cores from 0.01 to 1024' },
  {
    name: 'metered',
    label: 'Metered link',
    flag: '--metered',
    fault: 'Yes, no or automatic',
    choices: [
      ['true', 'Yes'],
      ['false', 'No'],
      ['auto', 'Automatic'],
    ],
  },
  {
    name: 'defer',
    label: 'Kept telemetry waits',
    flag: '--defer-telemetry',
    fault: 'Until the link is not metered',
    choices: [['untilUnmetered', 'While the link is metered']],
  },
  { name: 'telemetryIntervalS', label: 'Sample every, s', flag: '--telemetry-interval-s', fault: SECONDS },
  { name: 'telemetryBatchS', label: 'Send every, s', flag: '--telemetry-batch-s', fault: SECONDS },
  { name: 'resultsIntervalS', label: 'Results every, s', flag: '--results-interval-s', fault: SECONDS },
];

/** Texts as they were typed; one that is missing or empty sets nothing. */
export type BudgetForm = Readonly<Partial<Record<BudgetName, string>>>;
export type BudgetFaults = Partial<Record<BudgetName, string>>;

function textOf(name: BudgetName, budgets: DeviceBudgets): string {
  return String((name === 'defer' ? budgets.defer?.telemetry : budgets[name]) ?? '');
}

export function budgetForm(budgets: DeviceBudgets = {}): BudgetForm {
  return Object.fromEntries(BUDGET_FIELDS.map(({ name }) => [name, textOf(name, budgets)]).filter(([, text]) => text !== ''));
}

function valueFrom(name: BudgetName, text: string): unknown {
  if (name === 'defer') return { telemetry: text };
  if (name !== 'metered') return Number(text);
  return text === 'auto' ? text : text === 'true';
}

/** What a form says, held to the contract's schema; undefined budgets where it sets nothing. */
export function readBudgets(form: BudgetForm): { budgets: DeviceBudgets | undefined; faults: BudgetFaults } {
  const given = BUDGET_FIELDS.flatMap(({ name }) => {
    const text = form[name]?.trim() ?? '';
    return text === '' ? [] : [[name, valueFrom(name, text)] as const];
  });
  const parsed = deviceBudgetsSchema.safeParse(Object.fromEntries(given));
  const wrong = new Set(parsed.error?.issues.map(({ path }) => path[0]));
  const faults = Object.fromEntries(BUDGET_FIELDS.filter(({ name }) => wrong.has(name)).map(({ name, fault }) => [name, fault]));
  return { budgets: given.length === 0 ? undefined : parsed.data, faults };
}

/** Options of `selvedge device set` that make the same change. */
export function budgetOptions(before: DeviceBudgets = {}, after: DeviceBudgets = {}): string[] {
  return BUDGET_FIELDS.flatMap(({ name, flag }) => {
    const text = textOf(name, after);
    return text === textOf(name, before) ? [] : [`${flag} ${text === '' ? 'none' : text}`];
  });
}

/** My changes since `base` on top of what is there now, and what both have changed, each in another way. */
export function mergeBudgets(base: DeviceBudgets = {}, mine: DeviceBudgets = {}, now: DeviceBudgets = {}) {
  const clashes: string[] = [];
  const merged: Partial<Record<BudgetName, string>> = {};
  for (const { name, label } of BUDGET_FIELDS) {
    const [was, wanted, is] = [textOf(name, base), textOf(name, mine), textOf(name, now)];
    if (was !== wanted && was !== is && wanted !== is) clashes.push(label);
    merged[name] = was === wanted ? is : wanted;
  }
  return { budgets: readBudgets(merged).budgets, clashes };
}
