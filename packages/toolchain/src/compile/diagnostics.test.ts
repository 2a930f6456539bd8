import { describe, expect, it } from 'vitest';
import { buildFailed, parseDiagnostics } from './diagnostics.ts';

const OUTPUT = `In file included from /src/a.cc:1:
/src/b.h:3:7: warning: unused variable 'x' [-Wunused-variable]
/src/b.h:4:1: error: unknown type name 'Tensor'
    4 | Tensor t;
      | ^
/src/a.cc:9:10: fatal error: 'gone.h' file not found
2 errors generated.
`;

describe('parseDiagnostics', () => {
  it('takes errors with their place and leaves warnings and excerpts out', () => {
    expect(parseDiagnostics(OUTPUT)).toEqual([
      { path: '', message: "unknown type name 'Tensor'", file: '/src/b.h', line: 4, column: 1 },
      { path: '', message: "'gone.h' file not found", file: '/src/a.cc', line: 9, column: 10 },
    ]);
  });
});

describe('buildFailed', () => {
  it('tells the first error and carries all of the output', () => {
    const error = buildFailed('a.cc does not compile', OUTPUT);
    expect(error).toMatchObject({ code: 'BUILD_FAILED', message: "a.cc does not compile: unknown type name 'Tensor'" });
    expect(error.details.data).toEqual({ diagnostics: OUTPUT });
  });

  it('tells what the linker misses', () => {
    const output = 'ld.lld: error: undefined symbol: run()\n>>> referenced by a.cc\n';
    expect(buildFailed('run cannot be linked', output).message).toBe('run cannot be linked: ld.lld: error: undefined symbol: run()');
  });
});
