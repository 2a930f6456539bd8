import type { DeviceInfo, TelemetrySample } from '@selvedge/contract';

export interface Sensors {
  /** One reading; null where the device has no such sensor. Cpu is the share since the reading before. */
  sample(at: Date): Promise<TelemetrySample>;
  /** What the machine is; does not change while the agent runs. */
  describe(agentVersion: string): DeviceInfo;
}
