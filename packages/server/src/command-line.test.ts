import { describe, expect, it } from 'vitest';
import { readServerConfig } from './command-line.ts';

const MAIN = new URL('main.ts', import.meta.url).href;

describe('readServerConfig', () => {
  it('has defaults', () => {
    const config = readServerConfig([], {}, MAIN);
    expect(config).toMatchObject({ host: '127.0.0.1', port: 7070, devicePort: 7443, advertise: [], logLevel: 'info' });
    expect(config?.dataDir).toMatch(/\/\.selvedge$/);
    expect(config?.toolCommand.at(-1)).toMatch(/packages\/tools\/src\/main\.ts$/);
  });

  it('lets flags win over the environment', () => {
    const env = { SELVEDGE_PORT: '1', SELVEDGE_HOST: '0.0.0.0', SELVEDGE_ADVERTISE: 'a.example,b.example' };
    const config = readServerConfig(['--port', '0', '--data', '/tmp/x', '--advertise', 'c.example'], env, MAIN);
    expect(config).toMatchObject({ port: 0, host: '0.0.0.0', dataDir: '/tmp/x', advertise: ['c.example'] });
  });

  it('starts the bundled tools from a bundle', () => {
    expect(readServerConfig([], {}, 'file:///opt/selvedge/packages/server/dist/server.js')?.toolCommand).toEqual([
      process.execPath,
      '/opt/selvedge/packages/tools/dist/tools.js',
    ]);
  });

  it.each([[['--port', 'seventy']], [['--port', '70000']], [['--nonsense']], [['extra']], [['--log-level', 'loud']]])(
    'refuses %j',
    (args) => {
      expect(() => readServerConfig(args, {}, MAIN)).toThrow(expect.objectContaining({ code: 'USAGE' }));
    },
  );

  it('gives nothing when help is asked for', () => {
    expect(readServerConfig(['--help'], {}, MAIN)).toBeUndefined();
  });
});
