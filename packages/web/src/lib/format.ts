/** Text for people: numbers, bytes, durations, dates. Pure; the locale is English, as the rest of the page. */

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `1536` as `1.5 KiB`; three significant digits at most. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${trimZeros(value.toFixed(digits))} ${BYTE_UNITS[unit] ?? 'B'}`;
}

/** A share 0..1 as `12 %`; one decimal below 10 %. */
export function formatShare(share: number, digits?: number): string {
  const percent = share * 100;
  return `${percent.toFixed(digits ?? (percent < 10 && percent > 0 ? 1 : 0))} %`;
}

/** Seconds as `840 ms`, `12.3 s`, `4 min 05 s`, `2 h 10 min`, `3 d 4 h`. */
export function formatDuration(seconds: number): string {
  if (seconds < 0) return '0 s';
  if (seconds < 1) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${trimZeros(seconds.toFixed(1))} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.floor(seconds % 60)).padStart(2, '0')} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, '0')} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** Milliseconds with a sensible number of digits: `< 0.01 ms`, `0.42 ms`, `3.1 ms`, `128 ms`. */
export function formatMs(ms: number): string {
  if (ms > 0 && ms < 0.01) return '< 0.01 ms';
  return `${ms < 1 ? ms.toFixed(2) : ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

/** `just now`, `42 s ago`, `3 min ago`, `in 4 h`, `12 d ago`; whole units, rounded down. */
export function formatRelative(atMs: number, nowMs: number): string {
  const seconds = Math.round((nowMs - atMs) / 1000);
  const distance = Math.abs(seconds);
  if (distance < 5) return 'just now';
  const amount =
    distance < 60
      ? `${distance} s`
      : distance < 3600
        ? `${Math.floor(distance / 60)} min`
        : distance < 172_800
          ? `${Math.floor(distance / 3600)} h`
          : `${Math.floor(distance / 86_400)} d`;
  return seconds >= 0 ? `${amount} ago` : `in ${amount}`;
}

/** Local date and time, `2026-11-20 17:04:31`. */
export function formatDateTime(atMs: number): string {
  const date = new Date(atMs);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** A metric's value: shares of one (accuracy, f1, …) as per cent, the rest with four significant digits. */
export function formatMetric(name: string, value: number): string {
  if (isShareMetric(name) && value >= 0 && value <= 1) return `${(value * 100).toFixed(2)} %`;
  return formatNumber(value);
}

/** True for metrics that are shares of one by definition. */
export function isShareMetric(name: string): boolean {
  return /(^|\/)(accuracy|f1|precision|recall|top\d+)$/.test(name);
}

/** Four significant digits, thousands apart: `12,345`, `0.0312`, `1.2e-7`. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value)) return value.toLocaleString('en');
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(2);
  return size >= 1000 ? value.toLocaleString('en', { maximumFractionDigits: 1 }) : trimZeros(value.toPrecision(4));
}

/** `1 device`, `3 devices`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
}

/** `[1, 28, 28]` with a varying batch as `N × 1 × 28 × 28`. */
export function formatShape(shape: readonly (number | null)[]): string {
  return shape.length === 0 ? 'scalar' : shape.map((edge) => (edge === null ? 'N' : String(edge))).join(' × ');
}

/** First 12 digits of a digest; the rest belongs in a title. */
export function shortDigest(sha256: string): string {
  return sha256.slice(0, 12);
}

function trimZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
}
