import * as z from 'zod';

const milliseconds = z.number().min(0);
const counted = z.int().min(0);

/** How a device's link to its server does, as its agent has seen it since it started, a day back at most. It sends nothing to measure it. */
export const linkStandingSchema = z.object({
  /** Median and 95th percentile of the last round trips: of the handshake, pings, and small messages up to their acknowledgement. */
  rttMs: milliseconds,
  rttP95Ms: milliseconds,
  /** How many round trips that is. */
  samples: z.int().min(1),
  /** Connections after the first one. */
  reconnectsHour: counted,
  reconnectsDay: counted,
  /** Of pings, those that were never answered; null: none was sent. */
  unansweredPings: z.number().min(0).max(1).nullable(),
  /** Of the last downloads that were not too small to tell; null: there was none. */
  downloadBytesPerS: z.number().min(0).nullable(),
  /** Signal of the best wireless interface; null: there is none. */
  wifiDbm: z.number().min(-256).max(0).nullable(),
  /** How long the agent has looked on. */
  watchedS: z.number().min(0),
});
export type LinkStanding = z.infer<typeof linkStandingSchema>;

/** What links are compared by: a download of this size, and so many round trips to arrange it. */
const COMPARED_BYTES = 10 * 1024 * 1024;
const COMPARED_ROUND_TRIPS = 20;
/** What TCP moves in a round trip before its window has grown: a guess on the safe side while no download was measured. */
const WINDOW_BYTES = 64 * 1024;
const LEAST_ROUND_TRIP_MS = 1;
const LEAST_ANSWERED_SHARE = 0.1;

/**
 * Seconds that an update of 10 MiB takes over a link, by what is known of it; the fewer the better. 20 round trips and the download,
 * times one more for each reconnection in the last hour, and for pings that were not answered.
 */
export function linkSeconds({ rttMs, downloadBytesPerS, reconnectsHour, unansweredPings }: LinkStanding): number {
  const roundTripS = Math.max(rttMs, LEAST_ROUND_TRIP_MS) / 1000;
  const bytesPerS = Math.max(downloadBytesPerS ?? WINDOW_BYTES / roundTripS, 1);
  const answered = Math.max(1 - (unansweredPings ?? 0), LEAST_ANSWERED_SHARE);
  return ((COMPARED_ROUND_TRIPS * roundTripS + COMPARED_BYTES / bytesPerS) * (1 + reconnectsHour)) / answered;
}

/** By the seconds of an update of 10 MiB: below 10, below 60, more. */
export function linkGrade(link: LinkStanding): 'good' | 'fair' | 'poor' {
  const seconds = linkSeconds(link);
  return seconds < 10 ? 'good' : seconds < 60 ? 'fair' : 'poor';
}

/** `12 ms, 3.1 MB/s, 2 reconnects/h`; what is not known, or zero, is left out. */
export function linkText({ rttMs, downloadBytesPerS, reconnectsHour, reconnectsDay, wifiDbm }: LinkStanding): string {
  const reconnects = reconnectsHour > 0 ? `${reconnectsHour} reconnects/h` : reconnectsDay > 0 ? `${reconnectsDay} reconnects/d` : null;
  const parts = [
    `${few(rttMs)} ms`,
    downloadBytesPerS === null ? null : rateText(downloadBytesPerS),
    reconnects,
    wifiDbm === null ? null : `Wi-Fi ${Math.round(wifiDbm)} dBm`,
  ];
  return parts.filter((part) => part !== null).join(', ');
}

function rateText(bytesPerS: number): string {
  if (bytesPerS >= 1e6) return `${few(bytesPerS / 1e6)} MB/s`;
  return bytesPerS >= 1000 ? `${few(bytesPerS / 1000)} kB/s` : `${Math.round(bytesPerS)} B/s`;
}

/** One digit after the point where there is only one before it. */
const few = (value: number): string => (value < 10 ? String(Number(value.toFixed(1))) : String(Math.round(value)));
