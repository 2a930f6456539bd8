import { describe, expect, it } from 'vitest';
import { labelsSchema } from './common.ts';
import { AppError, ERRORS, EXIT, isErrorCode, toAppError } from './errors.ts';
import { pipelineSpecSchema } from './pipeline-spec.ts';
import { formatPath, fromProblem, issuesOf, problemSchema, toProblem } from './problem.ts';

describe('error table', () => {
  it('gives every code an HTTP error status and a known exit code that is not success', () => {
    const exits: number[] = Object.values(EXIT);
    for (const [code, entry] of Object.entries(ERRORS)) {
      expect(code).toMatch(/^[A-Z][A-Z_]+$/);
      expect(entry.httpStatus).toBeGreaterThanOrEqual(400);
      expect(exits).toContain(entry.exitCode);
      expect(entry.exitCode).not.toBe(EXIT.ok);
    }
  });

  it('never calls a bug retryable and exits with 1 for bugs alone', () => {
    for (const entry of Object.values(ERRORS)) {
      if (entry.kind === 'bug') expect(entry.retryable).toBe(false);
      expect(entry.exitCode === EXIT.bug).toBe(entry.kind === 'bug');
    }
  });

  it('keeps an AppError and wraps everything else as INTERNAL with its cause', () => {
    const known = new AppError('NOT_FOUND', { message: 'No such thing.' });
    expect(toAppError(known)).toBe(known);
    const cause = new TypeError('x is undefined');
    expect(toAppError(cause)).toMatchObject({ code: 'INTERNAL', cause });
    expect(isErrorCode('toString')).toBe(false);
  });
});

describe('problem details', () => {
  it('survive the wire with code, hint, issues and data', () => {
    const error = new AppError('INPUT_INVALID', {
      message: 'Two faults.',
      hint: 'Mend them.',
      issues: [{ path: 'spec.lr', message: 'too small', file: 'a.json', line: 3, column: 5 }],
      data: { limit: 1 },
    });
    const problem = problemSchema.parse(JSON.parse(JSON.stringify(toProblem(error, 'r-1'))));
    expect(problem).toMatchObject({ status: 400, requestId: 'r-1' });
    expect(fromProblem(problem)).toMatchObject({ code: 'INPUT_INVALID', details: error.details });
  });

  it('do not tell the text of a bug', () => {
    const problem = toProblem(toAppError(new Error('password=hunter2')));
    expect(JSON.stringify(problem)).not.toContain('hunter2');
  });

  it('keep the text of a code that only a newer server knows', () => {
    const problem = { ...toProblem(new AppError('NOT_FOUND', { message: 'gone' })), code: 'FROM_THE_FUTURE' };
    expect(fromProblem(problem)).toMatchObject({ code: 'INTERNAL', message: 'gone' });
  });

  it('say of a label key that is not valid what a key must be', () => {
    const parsed = labelsSchema.safeParse({ 'bad key!': 'x' });
    const issues = parsed.success ? [] : issuesOf(parsed.error);
    expect(issues).toEqual([{ path: 'bad key!', message: expect.stringMatching(/label key/) }]);
  });

  it('name each unknown field by its own path', () => {
    const parsed = pipelineSpecSchema.safeParse({ dataset: { name: 'a', path: { train: 't', test: 't' }, extra: 1, more: 2 } });
    const paths = parsed.success ? [] : issuesOf(parsed.error).map((issue) => issue.path);
    expect(paths).toEqual(expect.arrayContaining(['dataset.extra', 'dataset.more', 'model', 'preproc', 'postproc']));
    expect(formatPath(['a', 0, 'b', 1, 2])).toBe('a[0].b[1][2]');
  });
});
