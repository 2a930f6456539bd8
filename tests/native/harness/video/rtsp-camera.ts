import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export interface RtspCamera {
  readonly port: number;
  readonly url: string;
  /** As if its power failed. */
  kill: () => Promise<void>;
  /** As if its cable was pulled: connections stay, and nothing comes any more. */
  freeze: () => void;
}

export interface RtspCameraOptions {
  /** H.264 in Matroska, sent at its own speed. */
  video: string;
  /** The only transport that it has; default TCP. */
  transport?: 'TCP' | 'UDP';
  /** Default: a free one. */
  port?: number;
}

/** A real RTSP server in a process of its own. */
export async function startRtspCamera({ video, transport = 'TCP', port: wanted = 0 }: RtspCameraOptions): Promise<RtspCamera> {
  const script = join(import.meta.dirname, 'rtsp-camera.py');
  const child = spawn('/usr/bin/python3', [script, video, transport, String(wanted)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const closed = once(child, 'close');
  const line = await Promise.race([
    once(createInterface(child.stdout), 'line'),
    closed.then(([code]) => Promise.reject(new Error(`the RTSP server ended with ${code}`))),
  ]);
  const port = Number(String(line));
  const kill = async () => {
    child.kill('SIGKILL');
    await closed;
  };
  return { port, url: `rtsp://127.0.0.1:${port}/stream`, kill, freeze: () => void child.kill('SIGSTOP') };
}
