import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { OutputSink } from '../follow/follow-output.ts';
import type { Io, OutputStream } from '../io.ts';

async function writeTo(output: OutputStream | WriteStream, bytes: Uint8Array): Promise<void> {
  if (!output.write(bytes)) await new Promise<void>((resolve) => output.once('drain', () => resolve()));
}

/** Output of one device: as it comes. */
export function plainOutput(io: Io): OutputSink {
  return {
    write: (_, source, bytes) => writeTo(source === 'stderr' ? io.stderr : io.stdout, bytes),
    remark: (_, text) => void io.stderr.write(`${text}\n`),
  };
}

/** Output of several devices: whole lines, each behind its device's name. */
export function prefixedOutput(io: Io, devices: readonly string[]): OutputSink & { finish(): Promise<void> } {
  const width = Math.max(...devices.map((name) => name.length));
  const rest = new Map<string, Buffer>();
  const line = (device: string, text: Uint8Array) => Buffer.concat([Buffer.from(`${device.padEnd(width)} | `), text]);
  return {
    write: async (device, source, bytes) => {
      const key = `${source} ${device}`;
      const all = Buffer.concat([rest.get(key) ?? Buffer.alloc(0), bytes]);
      const end = all.lastIndexOf(10) + 1;
      rest.set(key, all.subarray(end));
      const lines: Buffer[] = [];
      for (let at = 0; at < end; ) {
        const next = all.indexOf(10, at) + 1;
        lines.push(line(device, all.subarray(at, next)));
        at = next;
      }
      if (lines.length > 0) await writeTo(source === 'stderr' ? io.stderr : io.stdout, Buffer.concat(lines));
    },
    remark: (device, text) => void io.stderr.write(`${device.padEnd(width)} | ${text}\n`),
    finish: async () => {
      for (const [key, bytes] of rest) {
        const [source = '', device = ''] = key.split(' ');
        if (bytes.length > 0)
          await writeTo(source === 'stderr' ? io.stderr : io.stdout, Buffer.concat([line(device, bytes), Buffer.from('\n')]));
      }
    },
  };
}

/** Output of each device into a file of its own, `DEVICE.out`, what is on stderr as well. */
export async function filesOutput(io: Io, folder: string): Promise<OutputSink & { finish(): Promise<void> }> {
  await mkdir(folder, { recursive: true });
  const files = new Map<string, WriteStream>();
  const fileOf = (device: string) => {
    const file = files.get(device) ?? createWriteStream(join(folder, `${device}.out`));
    files.set(device, file);
    return file;
  };
  return {
    write: (device, _, bytes) => writeTo(fileOf(device), bytes),
    remark: (device, text) => void io.stderr.write(`${device}: ${text}\n`),
    end: ({ device }) => void fileOf(device),
    finish: async () => {
      await Promise.all([...files.values()].map((file) => new Promise<void>((resolve, reject) => file.on('error', reject).end(resolve))));
    },
  };
}

/** Keeps all output, for a machine-readable result. */
export function collectedOutput(io: Io): OutputSink & { of(device: string): { stdout: string; stderr: string } } {
  const parts = new Map<string, Uint8Array[]>();
  const text = (key: string) => Buffer.concat(parts.get(key) ?? []).toString('utf8');
  return {
    write: (device, source, bytes) => {
      const key = `${source} ${device}`;
      parts.set(key, [...(parts.get(key) ?? []), bytes]);
    },
    remark: (device, remark) => void io.stderr.write(`${device}: ${remark}\n`),
    of: (device) => ({ stdout: text(`stdout ${device}`), stderr: text(`stderr ${device}`) }),
  };
}
