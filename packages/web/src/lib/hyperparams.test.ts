import { describe, expect, it } from 'vitest';
import { readHyperparams } from './hyperparams.ts';

describe('hyperparameters of a run', () => {
  it('are numbers or words; an empty field leaves the own value', () => {
    expect(readHyperparams({ lr: ' 0.01', epochs: '', optimizer: 'adam' })).toEqual({ ok: true, values: { lr: 0.01, optimizer: 'adam' } });
  });

  it('name the field that is wrong', () => {
    expect(readHyperparams({ epochs: '1.5' })).toMatchObject({ ok: false, name: 'epochs' });
    expect(readHyperparams({ lr: 'fast' })).toMatchObject({ ok: false, name: 'lr' });
  });
});
