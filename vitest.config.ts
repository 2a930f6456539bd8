import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.{ts,tsx}', 'scripts/**/*.test.ts', 'examples/**/*.test.ts'],
          testTimeout: 30_000,
          // many wait for processes and back-offs: one worker more than the default of "cores less one"
          maxWorkers: availableParallelism(),
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
          maxWorkers: availableParallelism(),
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['tests/e2e/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 900_000,
          // each file has servers and agents of its own, on free ports
          maxWorkers: availableParallelism(),
          sequence: { groupOrder: 2 },
          globalSetup: ['tests/e2e/global-setup.ts'],
        },
      },
    ],
  },
});
