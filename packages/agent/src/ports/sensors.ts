import type { DeviceInfo, TelemetrySample } from '@selvedge/contract';

export interface Sensors {
  /** One reading; null where the device has no such sensor. Cpu is the share since the reading before. */
  sample(at: Date): Promise<TelemetrySample>;
  /** Of the hottest part, degrees Celsius; null where the device has no sensor. */
  temperatureC(): Promise<number | null>;
  /** What the machine is; does not change while the agent runs. */
  describe(agentVersion: string): DeviceInfo;
}
