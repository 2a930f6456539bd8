import type { GateResult } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { gateStatus, gatesStatus, gateValue, gateWanted } from './gates.ts';

function gate(change: Partial<GateResult>): GateResult {
  return { metric: 'p95Ms', operator: '<=', wanted: 20, value: 3.14, passed: true, message: '', ...change };
}

describe('gates', () => {
  it('tell apart what failed and what nobody measured', () => {
    expect(gateStatus(gate({}))).toEqual({ tone: 'ok', text: 'Passed' });
    expect(gateStatus(gate({ value: 31, passed: false }))).toEqual({ tone: 'bad', text: 'Failed' });
    expect(gateStatus(gate({ value: null, passed: false }))).toEqual({ tone: 'warn', text: 'Not measured' });
    expect(gateStatus(gate({ operator: null, wanted: null, passed: null }))).toEqual({ tone: 'idle', text: 'Not bound' });
  });

  it('show values in the unit of their metric', () => {
    expect(gateWanted(gate({}))).toBe('≤ 20 ms');
    expect(gateWanted(gate({ metric: 'accuracy', operator: '>=', wanted: 0.95 }))).toBe('≥ 95 %');
    expect(gateWanted(gate({ operator: null, wanted: null }))).toBe('–');
    expect(gateValue('packageMiB', 2.5)).toBe('2.5 MiB');
    expect(gateValue('accuracy', 0.97831)).toBe('97.83 %');
    expect(gateValue('imagesPerS', 1234)).toBe('1,234');
    expect(gateValue('p95Ms', null)).toBe('–');
  });

  it('are told together by the worst of them', () => {
    expect(gatesStatus([])).toBeUndefined();
    expect(gatesStatus([gate({ operator: null, wanted: null, passed: null })])).toBeUndefined();
    expect(gatesStatus([gate({}), gate({})])).toEqual({ tone: 'ok', text: '2 passed' });
    const missing = gate({ value: null, passed: false });
    expect(gatesStatus([gate({}), missing])).toEqual({ tone: 'warn', text: '1 not measured' });
    expect(gatesStatus([missing, gate({ value: 31, passed: false })])).toEqual({ tone: 'bad', text: '1 failed' });
  });
});
