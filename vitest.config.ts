import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

/** Workers of files that wait for other processes more than they compute. */
const WAITING = availableParallelism() + 1;

export default defineConfig({
  test: {
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
