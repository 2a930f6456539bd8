import type { Presence, Reply, ReportedState, TelemetryBatch } from '@selvedge/contract';

/** What a device says, by topic. */
export interface DeviceMessages {
  reported: ReportedState;
  presence: Presence;
  telemetry: TelemetryBatch;
  replies: Reply;
}

/** The device's end of the device channel. */
export interface DeviceChannel {
  readonly connected: boolean;
  /**
   * Resolves when the server has taken the message, maybe on a later connection; it may take it twice.
   * @throws AppError RATE_LIMITED when too many wait; INTERRUPTED when the channel is closed first (operational).
   */
  publish<T extends keyof DeviceMessages>(topic: T, message: DeviceMessages[T]): Promise<void>;
}
