import { readFile } from 'node:fs/promises';
import { AppError } from '@selvedge/contract';
import { describe, expect, test } from 'vitest';
import { checkDocuments } from './check-documents.ts';
import { locateServerIssues } from './locate-server-issues.ts';

const original = await readFile(new URL('../testing/fixtures/original-pipeline.json', import.meta.url), 'utf8');

function faults(act: () => unknown): string[] {
  try {
    act();
  } catch (error) {
    if (error instanceof AppError)
      return (error.details.issues ?? []).map((one) => `${one.file}:${one.line}:${one.column} ${one.path}: ${one.message}`);
    throw error;
  }
  return [];
}

describe('a bare pipeline file', () => {
  test('is accepted in its original form, trailing comma and all', () => {
    const [checked] = checkDocuments([{ name: 'shop/pipeline.json', text: original }]);
    expect(checked?.document).toMatchObject({
      kind: 'Pipeline',
      metadata: { name: 'shop' },
      spec: { preproc: { params: { resize: [244, 244] } }, postproc: { params: { nms: { IoU_thr: 0.8 } } } },
    });
  });

  test('is named by --name, else by its file', () => {
    expect(checkDocuments([{ name: 'a/digits.json', text: original }])[0]?.document.metadata.name).toBe('digits');
    expect(checkDocuments([{ name: 'a/digits.json', text: original }], 'mine')[0]?.document.metadata.name).toBe('mine');
  });

  test('needs --name where the file gives none', () => {
    expect(faults(() => checkDocuments([{ name: '<stdin>', text: original }]))[0]).toContain('--name');
    expect(faults(() => checkDocuments([{ name: 'My File.json', text: original }]))[0]).toContain('--name');
  });

  test('has all its faults located at once: unknown fields, wrong types, impossible values', () => {
    const text = original
      .replace('"lr": 1e-3', '"lr": "fast"')
      .replace('"epochs": 20', '"epochs": 0,\n            "momentun": 0.9')
      .replace('"IoU_thr": 0.8', '"IoU_thr": 1.8');
    expect(faults(() => checkDocuments([{ name: 'p.json', text }], 'p'))).toEqual([
      expect.stringMatching(/^p\.json:12:13 model\.hyperparams\.lr: .*number/),
      expect.stringMatching(/^p\.json:14:13 model\.hyperparams\.epochs: /),
      expect.stringMatching(/^p\.json:15:13 model\.hyperparams\.momentun: unknown field/),
      expect.stringMatching(/^p\.json:29:17 postproc\.params\.nms\.IoU_thr: /),
    ]);
  });
});

describe('documents', () => {
  const task = (name: string) =>
    `apiVersion: selvedge.dev/v1alpha1\nkind: Task\nmetadata: {name: ${name}}\nspec:\n  description: d\n  output: o\n  constraints: c\n  archives: a\n  evaluation_criterias: [accuracy]\n  cost_function: f\n  evaluation_dataset: e\n`;

  test('of several files are checked together, with all faults of all files', () => {
    const sources = [
      { name: 'a.yaml', text: `${task('org.example.a')}---\nkind: Modell\n` },
      { name: 'b.json', text: '{"kind": }' },
      { name: 'c.yaml', text: 'apiVersion: selvedge.dev/v1alpha1\nkind: Run\n' },
      { name: 'd.yaml', text: 'just text' },
    ];
    expect(faults(() => checkDocuments(sources))).toEqual([
      expect.stringMatching(/^a\.yaml:13:1 kind: unknown kind "Modell"/),
      expect.stringMatching(/^b\.json:1:\d+ : /),
      expect.stringMatching(/^c\.yaml:2:1 kind: a Run is made by the server/),
      expect.stringMatching(/^d\.yaml:1:1 : must be an object/),
    ]);
  });

  test('may not give one resource twice', () => {
    const text = `${task('org.example.a')}---\n${task('org.example.a')}`;
    expect(faults(() => checkDocuments([{ name: 'a.yaml', text }]))).toEqual([
      expect.stringMatching(/^a\.yaml:13:1 : Task "org.example.a" is given twice \(first in a\.yaml:1\)/),
    ]);
  });

  test('refuse --name when none of them lacks a name', () => {
    expect(() => checkDocuments([{ name: 'a.yaml', text: task('org.example.a') }], 'x')).toThrow(/--name/);
  });
});

test('faults that the server finds are located in the file they came from', () => {
  const checked = checkDocuments([{ name: 'p.json', text: original }], 'p');
  const error = new AppError('REFERENCE_MISSING', {
    message: 'no',
    issues: [{ path: 'documents[0].spec.dataset.name', message: 'there is no dataset "..."' }],
  });
  const located = locateServerIssues(error, checked);
  expect(located).toMatchObject({ details: { issues: [{ file: 'p.json', line: 3, column: 9, path: 'dataset.name' }] } });
});
