import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** Workers of files that wait for other processes more than they compute. */
const WAITING = availableParallelism() + 1;

/** Files of a minute or more, the longest first. Without a cache vitest goes by the size of the source, and ends with one worker at work. */
const LONG_FILES = [
  'tests/native/agreement.test.ts',
  'tests/native/build-image.test.ts',
  'tests/native/build-conformance.test.ts',
  'tests/e2e/demo.test.ts',
  'tests/e2e/network-faults.test.ts',
  'tests/compat/conformance/conformance.test.ts',
];

class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const found = LONG_FILES.findIndex((name) => moduleId.endsWith(name));
      return found === -1 ? LONG_FILES.length : found;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongFilesFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.{ts,tsx}', 'scripts/**/*.test.ts', 'examples/**/*.test.ts'],
          // against hanging only: on a busy machine a process takes seconds to start
          testTimeout: 90_000,
          // loading modules anew for each file took longer than its tests
          isolate: false,
          // many of the longest wait for processes and back-offs
          maxWorkers: WAITING,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'native',
          include: ['tests/native/**/*.test.ts'],
          // the first run compiles everything
          testTimeout: 240_000,
          hookTimeout: 900_000,
          globalSetup: ['tests/native/global-setup.ts'],
          maxWorkers: WAITING,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['tests/e2e/**/*.test.ts', 'tests/compat/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 900_000,
          // each file has servers and agents of its own, on free ports
          maxWorkers: WAITING,
          sequence: { groupOrder: 2 },
          globalSetup: ['tests/e2e/global-setup.ts'],
        },
      },
    ],
  },
});
