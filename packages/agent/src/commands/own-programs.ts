import { fileURLToPath } from 'node:url';
import { AppError } from '@selvedge/contract';

/** How a program of ours is started: the bundle beside this bundle, or its source through tsx when we run from source. */
export function ownProgram(mainUrl: string, name: 'model-server' | 'trial-proxy' | 'patcher'): string[] {
  if (mainUrl.endsWith('.ts')) {
    return [process.execPath, '--import', import.meta.resolve('tsx'), fileURLToPath(new URL(`./${name}/main.ts`, mainUrl))];
  }
  return [process.execPath, fileURLToPath(new URL(`./${name}.js`, mainUrl))];
}

/** Runs `agent renew` as a process of its own, so that this one never holds what it needs. */
export async function renewInChild(mainUrl: string, dir: string, mode: 'renew' | 'refresh', signal: AbortSignal): Promise<void> {
  const { spawn } = await import('node:child_process'); // not before it is needed, about once in months
  return new Promise((resolve, reject) => {
    const args = [...process.execArgv, fileURLToPath(mainUrl), 'renew', '--dir', dir, ...(mode === 'refresh' ? ['--if-needed'] : [])];
    const child = spawn(process.execPath, args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      signal,
      timeout: 120_000,
    });
    let text = '';
    child.stderr.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString('utf8')).slice(-2000);
    });
    child.on('error', reject);
    child.on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new AppError('SERVER_UNREACHABLE', { message: `The renewal failed: ${text.trim()}` }));
    });
  });
}
