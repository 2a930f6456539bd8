import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { COLOURS } from '../app-runs.ts';

const run = promisify(execFile);

/** Runs the real ffmpeg. */
export async function ffmpeg(...args: readonly string[]): Promise<void> {
  await run('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', ...args]);
}

const CLIP_RATE = 25;

/** Frames of 64 x 48, so many of each colour one after the other. @param encoding - options of ffmpeg between input and output. */
export async function makeColourClip(
  path: string,
  parts: readonly (readonly [keyof typeof COLOURS, number])[],
  encoding: readonly string[],
): Promise<void> {
  const inputs = parts.flatMap(([colour, frames]) => [
    '-f',
    'lavfi',
    '-i',
    `color=${colour === 'green' ? 'lime' : colour}:size=64x48:rate=${CLIP_RATE}:duration=${frames / CLIP_RATE}`,
  ]);
  await ffmpeg(...inputs, '-filter_complex', `concat=n=${parts.length}`, '-pix_fmt', 'yuv420p', ...encoding, path);
}

/**
 * Packets of a video with other times; what is in them stays.
 *
 * @param time - expression of ffmpeg in N, the number of the packet: its time in milliseconds.
 */
export async function retime(path: string, output: string, time: string): Promise<void> {
  await ffmpeg('-i', path, '-c', 'copy', '-bsf:v', `setts=pts=${time}:dts=${time}`, output);
}

/** White square of 80 x 80 on the moving test picture of 320 x 240; per frame it goes `step` to the right. */
export async function makeSquareClip(path: string, frames: number, step: number, encoding: readonly string[]): Promise<void> {
  await ffmpeg(
    ...['-f', 'lavfi', '-i', `testsrc=size=320x240:rate=${CLIP_RATE},eq=brightness=-0.5`],
    ...['-f', 'lavfi', '-i', `color=white:size=80x80:rate=${CLIP_RATE}`],
    ...['-filter_complex', `overlay=x=${step * CLIP_RATE}*t:y=80`, '-frames:v', String(frames), '-pix_fmt', 'yuv420p', ...encoding, path],
  );
}
