import { createHash } from 'node:crypto';
import type { BenchmarkReport } from '@selvedge/contract';
import type { Picture } from '../sample-pictures.ts';
import type { Mistake, Scores } from '../scores.ts';
import { boxLayer, reliabilityDiagram } from './charts.ts';
import { criteriaSection, type JudgedMetric } from './criteria.ts';
import { columnsOf } from './csv.ts';
import { type Html, html, NOTHING } from './html.ts';
import { HEAT_LEVELS, STYLE } from './style.ts';

/** With more classes the matrix would be unreadable; the pairs that are taken for one another are listed instead. */
const MAX_MATRIX_CLASSES = 40;
const MAX_PAIRS = 20;
const MAX_CLASS_ROWS = 1000;

const KIND_TITLES = { classification: 'Classification', detection: 'Object detection', embedding: 'Retrieval by embedding' } as const;

const METRIC_TITLES: Readonly<Record<string, string>> = {
  accuracy: 'accuracy',
  f1: 'F1 (macro)',
  precision: 'precision (macro)',
  recall: 'recall (macro)',
  microF1: 'F1 (micro)',
  microPrecision: 'precision (micro)',
  microRecall: 'recall (micro)',
  rocAuc: 'ROC-AUC',
  ece: 'calibration error (ECE)',
  loss: 'loss',
  rank1: 'rank-1',
  rank5: 'rank-5',
};

const COLUMN_TITLES: Readonly<Record<string, string>> = {
  label: 'class',
  support: 'samples',
  f1: 'F1',
  rocAuc: 'ROC-AUC',
  ap50: 'AP@50',
  ap: 'AP@50:95',
  rank1: 'rank-1',
  map: 'mAP',
};

export interface ShownMistake {
  readonly mistake: Mistake;
  /** The sample, and what it was taken for where that is another sample; none where samples are no pictures. */
  readonly pictures: readonly Picture[];
}

export interface HtmlReport {
  readonly title: string;
  readonly report: BenchmarkReport;
  readonly scores: Pick<Scores, 'kind' | 'notes'>;
  readonly labels: readonly string[];
  readonly mistakes: readonly ShownMistake[];
  readonly criteria: readonly JudgedMetric[];
}

/**
 * The report as one page that needs nothing else: no script, no file, no network. Its own policy allows its style and
 * pictures inside it and nothing more, so that a label cannot become anything but text.
 */
export function htmlReport({ title, report, scores, labels, mistakes, criteria }: HtmlReport): string {
  const digest = createHash('sha256').update(STYLE).digest('base64');
  const policy = `default-src 'none'; img-src data:; style-src 'sha256-${digest}'; base-uri 'none'; form-action 'none'`;
  const body = html`<main><header><h1>${title}</h1><p class="soft">${KIND_TITLES[scores.kind]}, measured on ${report.samples} test samples; one sample takes ${report.latencyMs.p50.toFixed(2)} ms (p50), ${report.latencyMs.p95.toFixed(2)} ms (p95)</p></header>
${tiles(report)}
${criteriaSection(criteria, format)}
${matrixSection(report, labels)}
${calibrationSection(report)}
${classSection(report, scores.kind)}
${mistakeSection(mistakes, scores.kind)}
<section><h2>How this was measured</h2><ul class="notes">${scores.notes.map((note) => html`<li>${note}</li>`)}</ul></section></main>`;
  // The style is put in by itself: its digest is that of exactly these bytes.
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}"><meta name="referrer" content="no-referrer">
${html`<title>${title}</title>`.text}<style>${STYLE}</style></head>
<body>${body.text}</body></html>
`;
}

const format = (value: number) => (Number.isInteger(value) ? String(value) : value.toFixed(Math.abs(value) < 10 ? 4 : 2));

function tiles({ metrics }: BenchmarkReport): Html {
  const tile = ([name, value]: [string, number], i: number) =>
    html`<div class="tile${i === 0 ? ' main' : ''}"><b>${format(value)}</b><span>${METRIC_TITLES[name] ?? name}</span></div>`;
  return html`<div class="tiles">${Object.entries(metrics).map(tile)}</div>`;
}

function matrixSection({ confusion }: BenchmarkReport, labels: readonly string[]): Html {
  if (confusion.length === 0) return NOTHING;
  return html`<section><h2>Confusion</h2><div class="columns">${confusion.length <= MAX_MATRIX_CLASSES ? matrix(confusion, labels) : NOTHING}${pairs(confusion, labels)}</div></section>`;
}

function matrix(confusion: BenchmarkReport['confusion'], labels: readonly string[]): Html {
  const head = labels.map((label) => html`<th title="${label}">${label}</th>`);
  const rows = confusion.map((row, actual) => {
    const total = row.reduce((sum, count) => sum + count, 0);
    const cells = row.map((count, predicted) => {
      if (count === 0) return html`<td class="zero">·</td>`;
      const level = Math.max(1, Math.ceil((count / total) * HEAT_LEVELS));
      const kind = actual === predicted ? 'hit' : 'miss';
      return html`<td class="${kind} h${level}" title="${labels[actual] ?? ''} taken for ${labels[predicted] ?? ''}: ${count} of ${total}">${count}</td>`;
    });
    return html`<tr><th scope="row" title="${labels[actual] ?? ''}">${labels[actual] ?? ''}</th>${cells}</tr>`;
  });
  return html`<div><p class="soft">Rows are what a sample is, columns what it was taken for; the shade is the share of the row.</p><div class="scroll"><table class="matrix"><thead><tr><th></th>${head}</tr></thead><tbody>${rows}</tbody></table></div></div>`;
}

function pairs(confusion: BenchmarkReport['confusion'], labels: readonly string[]): Html {
  const all = confusion.flatMap((row, actual) => row.map((count, predicted) => ({ count, actual, predicted })));
  const wrong = all.filter(({ count, actual, predicted }) => count > 0 && actual !== predicted).sort((a, b) => b.count - a.count);
  if (wrong.length === 0) return html`<p>No sample was taken for another class.</p>`;
  const rows = wrong
    .slice(0, MAX_PAIRS)
    .map(
      ({ count, actual, predicted }) => html`<tr><td>${labels[actual] ?? ''}</td><td>${labels[predicted] ?? ''}</td><td>${count}</td></tr>`,
    );
  return html`<div><p class="soft">Most frequent mistakes</p><table><thead><tr><th>is</th><th>taken for</th><th>times</th></tr></thead><tbody>${rows}</tbody></table></div>`;
}

function calibrationSection({ calibration, metrics }: BenchmarkReport): Html {
  if (calibration === undefined) return NOTHING;
  return html`<section><h2>Reliability</h2><div class="columns">${reliabilityDiagram(calibration)}<div><p>Bars show how many samples of a confidence are right; the dashed line is where confidence and accuracy are the same.</p><p class="soft">Calibration error (ECE): ${format(metrics.ece ?? 0)}. Bars below the line: the model is surer than it should be. Darker bars hold more samples.</p></div></div></section>`;
}

function classSection({ perClass }: BenchmarkReport, kind: Scores['kind']): Html {
  const columns = columnsOf(perClass);
  const title = (column: string) => (column === 'support' && kind === 'detection' ? 'objects' : (COLUMN_TITLES[column] ?? column));
  const rows = perClass.slice(0, MAX_CLASS_ROWS).map((one) => {
    const cells = columns.map((column) => {
      const value = one[column];
      if (typeof value === 'string') return html`<td title="${value}">${value}</td>`;
      if (typeof value !== 'number') return html`<td class="zero">&ndash;</td>`;
      if (column === 'support') return html`<td>${value}</td>`;
      return html`<td>${value.toFixed(3)}<meter min="0" max="1" value="${value.toFixed(3)}"></meter></td>`;
    });
    return html`<tr>${cells}</tr>`;
  });
  const more =
    perClass.length > MAX_CLASS_ROWS ? html`<p class="soft">${perClass.length - MAX_CLASS_ROWS} more in report.csv</p>` : NOTHING;
  return html`<section><h2>${kind === 'embedding' ? 'Identities' : 'Classes'}</h2><div class="scroll"><table class="wide"><thead><tr>${columns.map((column) => html`<th>${title(column)}</th>`)}</tr></thead><tbody>${rows}</tbody></table></div>${more}</section>`;
}

function mistakeSection(mistakes: readonly ShownMistake[], kind: Scores['kind']): Html {
  if (mistakes.length === 0) return html`<section><h2>Worst mistakes</h2><p>None: every test sample came out right.</p></section>`;
  const key =
    kind === 'detection'
      ? html`<p class="soft"><span class="key found"></span>found<span class="key wrong"></span>no object of this class there<span class="key missed"></span>missed</p>`
      : NOTHING;
  const large = kind === 'detection' ? ' large' : '';
  return html`<section><h2>Worst mistakes</h2>${key}<ul class="gallery${large}">${mistakes.map((one) => mistakeItem(one, kind))}</ul></section>`;
}

function mistakeItem({ mistake, pictures }: ShownMistake, kind: Scores['kind']): Html {
  const { sample, actual, predicted, confidence, boxes } = mistake;
  const small = pictures.every(({ width, height }) => Math.max(width, height) <= 96);
  const images = pictures.map(
    ({ uri, width, height }) => html`<img src="${uri}" width="${width}" height="${height}" alt="Test sample ${sample}">`,
  );
  const [first] = pictures;
  const layer = first !== undefined && boxes !== undefined ? boxLayer(boxes, first.width, first.height) : NOTHING;
  const frame = images.length === 0 ? NOTHING : html`<div class="frame${small ? ' pixelated' : ''}">${images}${layer}</div>`;
  const caption =
    kind === 'detection'
      ? html`<span class="is">${actual}</span>: <span class="not">${predicted}</span>`
      : html`<span class="is">${actual}</span> taken for <span class="not">${predicted}</span>, ${kind === 'embedding' ? 'similarity' : 'confidence'} ${confidence.toFixed(3)}`;
  return html`<li><figure>${frame}<figcaption>${caption} <span class="soft">sample ${sample}</span></figcaption></figure></li>`;
}
