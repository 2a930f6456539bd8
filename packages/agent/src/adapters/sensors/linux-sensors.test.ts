import { tmpdir } from 'node:os';
import { telemetrySampleSchema } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import { LinuxSensors, parseCpuTicks, parseMemory, parseNetwork } from './linux-sensors.ts';

describe('LinuxSensors', () => {
  it('reads the kernel files', () => {
    expect(parseCpuTicks('cpu  10 2 3 80 5 0 0 0 7 0\ncpu0 1 2 3\n')).toEqual({ busy: 15, total: 100 });
    expect(parseCpuTicks('nothing')).toBeUndefined();
    expect(parseMemory('MemTotal:     1000 kB\nMemFree:  1 kB\nMemAvailable:  400 kB\n')).toEqual({
      usedBytes: 600 * 1024,
      totalBytes: 1000 * 1024,
    });
    expect(parseMemory('MemTotal: 1000 kB\n')).toBeUndefined();
    const dev =
      'Inter-|   Receive\n face |bytes\n    lo: 100 1 0 0 0 0 0 0 100 1 0 0 0 0 0 0\n  eth0:5 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n wlan0: 20 1 0 0 0 0 0 0 30 1 0 0 0 0 0 0\n';
    expect(parseNetwork(dev)).toEqual({ rxBytes: 25, txBytes: 37 });
  });

  it('makes samples that the contract accepts', async () => {
    const sensors = new LinuxSensors(tmpdir());
    const sample = await sensors.sample(new Date());
    expect(telemetrySampleSchema.parse(sample)).toEqual(sample);
    expect(sample.cpu).toBeNull();
    expect(sample.agentRssBytes).toBeGreaterThan(1e6);
  });
});
