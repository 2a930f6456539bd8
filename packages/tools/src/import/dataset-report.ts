import { type DatasetFile, type DatasetReport, datasetReportSchema, type FileFault, MAX_NAMED_FILES } from '@selvedge/contract';
import type { Source } from './source-sample.ts';

const MAX_GROUPS = 100;
const MAX_PATHS = 10;

interface Content {
  count: number;
  readonly paths: string[];
  readonly splits: Set<string>;
}

/** Gathers what report.json says, file by file. */
export class ReportBuilder {
  readonly #labels: readonly string[];
  readonly #balance: Map<string, number>[];
  readonly #first = new Map<string, { path: string; split: string }>();
  readonly #repeated = new Map<string, Content>();
  readonly #sizes: number[] = [];
  readonly #pictureSizes = new Map<string, { width: number; height: number }>();

  constructor(labels: readonly string[]) {
    this.#labels = labels;
    this.#balance = labels.map(() => new Map());
  }

  addFile(file: DatasetFile, picture?: { width: number; height: number }): void {
    this.#sizes.push(file.sizeBytes);
    if (file.label !== undefined) this.addSample(file.label, file.split);
    for (const box of file.boxes ?? []) this.addSample(box.label, file.split);
    if (picture !== undefined) this.#pictureSizes.set(`${picture.width}x${picture.height}`, picture);
    const first = this.#first.get(file.sha256);
    if (first === undefined) {
      this.#first.set(file.sha256, { path: file.path, split: file.split });
      return;
    }
    let content = this.#repeated.get(file.sha256);
    if (content === undefined) {
      content = { count: 1, paths: [first.path], splits: new Set([first.split]) };
      this.#repeated.set(file.sha256, content);
    }
    content.count += 1;
    content.splits.add(file.split);
    if (content.paths.length < MAX_PATHS) content.paths.push(file.path);
  }

  addSample(label: number, split: string, count = 1): void {
    const splits = this.#balance[label];
    splits?.set(split, (splits.get(split) ?? 0) + count);
  }

  build(source: Source, broken: { count: number; files: readonly FileFault[] }): DatasetReport {
    const pictures = [...this.#pictureSizes.values()];
    const extent = (pick: (size: { width: number; height: number }) => number) => {
      const values = pictures.map(pick);
      return values.reduce((range, value) => ({ min: Math.min(range.min, value), max: Math.max(range.max, value) }), {
        min: values[0] ?? 0,
        max: 0,
      });
    };
    const [width, height] = [extent((size) => size.width), extent((size) => size.height)];
    const sizes = this.#sizes.sort((a, b) => a - b);
    const repeated = [...this.#repeated].sort(([a, one], [b, other]) => other.count - one.count || (a < b ? -1 : 1));
    return datasetReportSchema.parse({
      formatVersion: 1,
      layout: source.layout,
      format: source.format,
      balance: this.#labels.map((label, at) => ({ label, splits: Object.fromEntries([...(this.#balance[at] ?? [])].sort()) })),
      fileSize: sizes.length === 0 ? null : { min: sizes[0], median: sizes[sizes.length >> 1], max: sizes.at(-1) },
      pictureSize:
        pictures.length === 0
          ? null
          : { minWidth: width.min, maxWidth: width.max, minHeight: height.min, maxHeight: height.max, sizes: pictures.length },
      duplicates: {
        files: repeated.reduce((sum, [, { count }]) => sum + count - 1, 0),
        acrossSplits: repeated.filter(([, { splits }]) => splits.size > 1).length,
        groups: repeated.slice(0, MAX_GROUPS).map(([sha256, { count, paths }]) => ({ sha256, count, paths })),
      },
      broken: { count: broken.count, files: broken.files.slice(0, MAX_NAMED_FILES) },
      notes: source.notes.slice(0, 100),
    });
  }
}
