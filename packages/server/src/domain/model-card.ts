import type { BenchmarkReport, ClassReport, GateResult, ModelLineage, ModelVersion, Task } from '@selvedge/contract';
import { gateText } from './gates.ts';

export interface CardFacts {
  readonly version: ModelVersion;
  readonly lineage: ModelLineage;
  readonly task: Task | undefined;
  readonly criteria: readonly GateResult[];
  /** Undefined when the benchmark's artifact is gone. */
  readonly report: BenchmarkReport | undefined;
}

/** Classes below these are told as limits. */
const WEAK_SCORE = 0.8;
const FEW_SAMPLES = 20;
const MAX_CLASSES = 200;

/** Text of others on one line, which cannot become markup: every character that Markdown or HTML gives a meaning is escaped. */
function plain(text: string): string {
  return text
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/[\\`*_{}[\]()#+!|<>~&]/g, (character) => (character === '<' ? '&lt;' : character === '&' ? '&amp;' : `\\${character}`));
}

/** As code; backticks inside would end it. */
const code = (text: string) => `\`${text.replace(/[`\s]+/g, ' ')}\``;
const number = (value: number) => (Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4))));
const table = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');

/** A model card: what the model is for, what it was made of, how well it does, and where it does not. */
export function modelCard(facts: CardFacts): string {
  const { version, lineage } = facts;
  const { model, version: number, inputs, outputs, preproc, postproc, file } = version.spec;
  const note = lineage.note === null ? [] : ['', `> ${plain(lineage.note)}`];
  const sections = [
    [`# ${plain(model)} ${plain(number)}`, ...note].join('\n'),
    section('Intended use', intendedUse(facts.task)),
    section('Metrics', metricText(facts)),
    section('Classes', classText(facts.report)),
    section('Limits', limits(facts)),
    section('Data', dataText(lineage)),
    section('Training', trainingText(lineage)),
    section(
      'Interface',
      [
        ...inputs.map((one) => `- Input ${code(one.name)}: ${one.dataType} [${one.shape.map((edge) => edge ?? 'N').join(', ')}]`),
        ...outputs.map((one) => `- Output ${code(one.name)}: ${one.dataType} [${one.shape.map((edge) => edge ?? 'N').join(', ')}]`),
        `- Preprocessing: ${preproc.pipeline.join(' → ') || 'none'}`,
        `- Postprocessing: ${postproc.pipeline.join(' → ') || 'none'}`,
        `- File: ONNX, ${file.sizeBytes} bytes, sha256 ${code(file.sha256)}`,
      ].join('\n'),
    ),
    section('Lineage', lineageText(lineage)),
  ];
  return `${sections.join('\n\n')}\n`;
}

function section(title: string, text: string): string {
  return `## ${title}\n\n${text}`;
}

function intendedUse(task: Task | undefined): string {
  if (task === undefined) return 'The pipeline names no task, so nothing is said about what this model is for.';
  const { description, output, constraints } = task.spec;
  return [
    `Task ${code(task.metadata.name)}: ${plain(description)}`,
    '',
    `- Output: ${plain(output)}`,
    `- Constraints: ${plain(constraints)}`,
  ].join('\n');
}

function metricText({ version, criteria, report }: CardFacts): string {
  const metrics = report?.metrics ?? version.spec.metrics;
  const measured = table(
    ['metric', 'value'],
    Object.entries(metrics).map(([name, value]) => [plain(name), number(value)]),
  );
  const on = report === undefined ? '' : `Measured on ${report.samples} test samples.\n\n`;
  if (criteria.length === 0) return on + measured;
  const judged = criteria.map((result) => {
    const { value, passed } = result;
    return [plain(gateText(result)), value === null ? 'not measured' : number(value), passed === null ? '' : passed ? 'yes' : 'no'];
  });
  return `${on}${measured}\n\nBy the criteria of the task:\n\n${table(['criterion', 'value', 'passed'], judged)}`;
}

const CLASS_SCORES = ['precision', 'recall', 'f1', 'rocAuc', 'ap50', 'ap', 'rank1', 'map'] as const;

function classText(report: BenchmarkReport | undefined): string {
  if (report === undefined) return 'The report of the benchmark is not there any more.';
  const columns = CLASS_SCORES.filter((column) => report.perClass.some((one) => one[column] !== undefined));
  const cells = (one: ClassReport) => columns.map((column) => (typeof one[column] === 'number' ? number(one[column]) : ''));
  const rows = report.perClass.slice(0, MAX_CLASSES).map((one) => [plain(one.label), String(one.support), ...cells(one)]);
  const more = report.perClass.length > MAX_CLASSES ? `\n\n${report.perClass.length - MAX_CLASSES} more classes are in the report.` : '';
  return table(['class', 'samples', ...columns], rows) + more;
}

/** What the numbers themselves say against the model. */
function limits({ version, report, criteria }: CardFacts): string {
  const others = (version.spec.evaluations ?? []).map(({ dataset }) => code(`${dataset.name}@${dataset.version}`)).join(', ');
  const scoreOf = ({ f1, ap50, rank1 }: ClassReport) => ap50 ?? f1 ?? rank1;
  const weak = (report?.perClass ?? []).filter((one) => one.support > 0 && (scoreOf(one) ?? 1) < WEAK_SCORE);
  const few = (report?.perClass ?? []).filter((one) => one.support < FEW_SAMPLES);
  const named = (classes: readonly ClassReport[]) =>
    classes
      .slice(0, 20)
      .map(({ label }) => plain(label))
      .join(', ') + (classes.length > 20 ? ` and ${classes.length - 20} more` : '');
  const failed = criteria.filter(({ passed }) => passed === false);
  const lines = [
    ...failed.map((result) => `- Does not keep ${plain(gateText(result))}: ${plain(result.message)}`),
    ...(weak.length === 0 ? [] : [`- Weak (below ${WEAK_SCORE}) on: ${named(weak)}`]),
    ...(few.length === 0 ? [] : [`- Fewer than ${FEW_SAMPLES} test samples, so little is known of: ${named(few)}`]),
    `- Measured on the test split of its own dataset${others === '' ? '' : `, and on ${others}`}; nothing is known of data that differs from it.`,
  ];
  return lines.join('\n');
}

function dataText({ origin }: ModelLineage): string {
  if (origin === null) return 'Not made by a run of a pipeline; its data is not known.';
  const { name, version, digest, removed } = origin.dataset;
  return `Dataset ${code(name)}, version ${version}${removed ? ' (removed since)' : ''}, digest ${code(digest)}`;
}

function trainingText({ origin }: ModelLineage): string {
  if (origin === null) return 'Not known.';
  return `\`\`\`json\n${JSON.stringify(origin.parameters, null, 2).replaceAll('```', "'''")}\n\`\`\``;
}

function lineageText({ origin, packages, devices, createdAt }: ModelLineage): string {
  const made =
    origin === null
      ? []
      : [
          `- Run ${code(origin.run)} of pipeline ${code(origin.pipeline)}, generation ${origin.pipelineGeneration}`,
          ...Object.entries(origin.models ?? {}).map(([version, sha256]) => `- Made from model ${code(version)}: ${code(sha256)}`),
          ...Object.entries(origin.tools).map(([tool, digest]) => `- Code of ${code(tool)}: ${code(digest)}`),
        ];
  return [
    `- Registered ${createdAt}`,
    ...made,
    `- Packages: ${packages.map(({ name }) => code(name)).join(', ') || 'none'}`,
    `- Devices that served it when this was written: ${devices.map(({ device }) => code(device)).join(', ') || 'none'}`,
  ].join('\n');
}
