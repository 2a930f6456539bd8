/** What a conformance check found to be other than it must be. */
export class Mismatch extends Error {
  readonly expected: string;
  readonly got: string;

  constructor(expected: string, got: string) {
    super(`expected ${expected}, got ${got}`);
    this.expected = expected;
    this.got = got;
  }
}

/** @throws Mismatch unless it holds. */
export function expectThat(holds: boolean, expected: string, got: unknown): asserts holds {
  if (!holds) throw new Mismatch(expected, typeof got === 'string' ? got : (JSON.stringify(got) ?? 'nothing'));
}
