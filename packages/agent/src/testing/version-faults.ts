import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** How the model servers of version 2 misbehave. */
export type VersionFault = 'crash-at-start' | 'crash-later' | 'hang' | 'leak' | 'slow' | 'fail-requests';

/** Loaded by every Node process of an agent; acts in the model servers of version 2 only. */
const PROGRAM = `
const at = process.argv.indexOf('--package');
const isTarget = at > 0 && /\\/2-[0-9a-f]{8}$/.test(process.argv[at + 1]);
const fault = process.env.SELVEDGE_TEST_FAULT;
if (isTarget) {
  const http = require('node:http');
  let began = false;
  const begin = () => {
    if (began) return;
    began = true;
    if (fault === 'crash-later') setTimeout(() => process.exit(3), 10000);
    if (fault === 'hang') setTimeout(() => { for (;;); }, 1200);
    if (fault === 'leak') { const kept = []; setInterval(() => kept.push(Buffer.alloc(8 * 2 ** 20, 1)), 200); }
  };
  if (fault === 'crash-at-start') setTimeout(() => process.exit(3), 50);
  const emit = http.Server.prototype.emit;
  http.Server.prototype.emit = function (event, request, response) {
    if (event !== 'request' || !request.url.startsWith('/v1/infer')) return emit.apply(this, arguments);
    begin();
    if (fault === 'fail-requests') {
      const writeHead = response.writeHead;
      response.writeHead = (_status, headers) => writeHead.call(response, 500, headers);
    }
    if (fault === 'slow') {
      const read = request.iterator.bind(request);
      request.iterator = async function* (options) {
        await new Promise((resolve) => setTimeout(resolve, 500));
        yield* read(options);
      };
    }
    return emit.apply(this, arguments);
  };
}
`;

/** @returns environment for an agent whose version 2 has this fault once it has traffic. */
export async function withVersionFault(folder: string, fault: VersionFault): Promise<Record<string, string>> {
  const path = join(folder, 'fault.cjs');
  await writeFile(path, PROGRAM);
  return { NODE_OPTIONS: `--require ${path}`, SELVEDGE_TEST_FAULT: fault };
}
