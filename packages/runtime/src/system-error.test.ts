import { readFile } from 'node:fs/promises';
import { AppError } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { explainUnreadable, systemErrorCode } from './system-error.ts';

describe('errors of the system', () => {
  it('name the place and the reason of a file that cannot be read', async () => {
    const cause = await readFile('/nowhere/labels.csv').catch((error: unknown) => error);
    expect(systemErrorCode(cause)).toBe('ENOENT');
    expect(explainUnreadable(cause, '/nowhere/labels.csv')).toMatchObject({
      code: 'FILE_UNREADABLE',
      message: '/nowhere/labels.csv could not be read (ENOENT).',
    });
  });

  it('leaves an error of ours, which has a code too, as it is', () => {
    const ours = new AppError('FILE_UNREADABLE', { message: 'maps/up leads out of the folder.' });
    expect(systemErrorCode(ours)).toBeUndefined();
    expect(explainUnreadable(ours, 'maps')).toBe(ours);
    expect(explainUnreadable(new TypeError('x'), 'maps')).toBeInstanceOf(TypeError);
  });
});
