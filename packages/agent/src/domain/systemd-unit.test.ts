import { describe, expect, it } from 'vitest';
import { systemdUnit } from './systemd-unit.ts';

describe('the unit of systemd', () => {
  const unit = systemdUnit({ program: ['/opt/my agent/bin/selvedge-agent'], nodeFolder: '/usr/bin', memoryMax: '512M' });

  it('gives the agent a user of its own, a ceiling and no way to more rights', () => {
    for (const line of [
      'DynamicUser=yes',
      'NoNewPrivileges=yes',
      'ProtectSystem=strict',
      'MemoryMax=512M',
      'Restart=always',
      'PrivateTmp=yes',
    ])
      expect(unit.split('\n')).toContain(line);
  });

  it('quotes what systemd would take apart', () => {
    expect(unit).toContain('ExecStart="/opt/my agent/bin/selvedge-agent" run --dir /var/lib/selvedge-agent\n');
    expect(systemdUnit({ program: ['/a%b$c'], nodeFolder: '/n', memoryMax: '1G' })).toContain('ExecStart=/a%%b$$c run');
  });
});
