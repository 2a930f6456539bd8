import * as z from 'zod';
import { expectThat } from '../../mismatch.ts';
import type { Answer } from '../connection.ts';
import { expectJson, expectProblem, expectStatus, NotApplicable, shown } from '../expectation.ts';
import { readZipNames } from '../read-zip-names.ts';
import type { Verification } from '../verification.ts';
import type { Check } from './check.ts';

const filesSchema = z.object({ items: z.array(z.object({ path: z.string(), sizeBytes: z.int().min(0) })).min(1) });

async function filesOf(on: Verification): Promise<z.output<typeof filesSchema>['items']> {
  return expectJson(await on.tool.ask(`/artifacts/${on.needMade()}/files`), filesSchema, 'a list of files').items;
}

const encoded = (path: string): string => path.split('/').map(encodeURIComponent).join('/');

/** Paths that must not lead out of an artifact's data, in the ways they are written to get past a check. */
const ESCAPES = [
  '../../../../../../etc/passwd',
  '..%2F..%2F..%2F..%2F..%2F..%2Fetc%2Fpasswd',
  '..%2Fstatus',
  '..%2Finput-parameters',
  '%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd',
  '%252e%252e%252fstatus',
  '/etc/passwd',
  '%2Fetc%2Fpasswd',
  '..%5C..%5Cstatus',
  '%00',
];

/** What is in an artifact. */
export const DATA_CHECKS: readonly Check[] = [
  {
    title: 'data gives the file when there is one, a zip of exactly the files when there are several',
    async run(on) {
      const files = await filesOf(on);
      const data = await on.tool.ask(`/artifacts/${on.needMade()}/data`);
      expectStatus(data, 200);
      const [only] = files;
      if (files.length === 1 && only !== undefined) {
        expectThat(data.body.length === only.sizeBytes, `the ${only.sizeBytes} bytes of ${only.path}`, `${data.body.length} bytes`);
        return;
      }
      expectThat(data.headers['content-type'] === 'application/zip', 'application/zip', String(data.headers['content-type']));
      const [names, wanted] = [readZipNames(data.body).sort(), files.map(({ path }) => path).sort()];
      expectThat(names.join('\n') === wanted.join('\n'), `the files ${wanted.join(', ')}`, names.join(', '));
    },
  },
  {
    title: 'data/{file} gives each file by its name',
    async run(on) {
      for (const { path, sizeBytes } of await filesOf(on)) {
        const answer = await on.tool.ask(`/artifacts/${on.needMade()}/data/${encoded(path)}`);
        expectThat(
          answer.status === 200 && answer.body.length === sizeBytes,
          `${sizeBytes} bytes of ${path}`,
          `${answer.status}, ${answer.body.length} bytes`,
        );
      }
    },
  },
  {
    title: 'range requests give the bytes that are asked for',
    async run(on) {
      const file = (await filesOf(on)).find(({ sizeBytes }) => sizeBytes >= 3);
      if (file === undefined) throw new NotApplicable('no file has three bytes');
      const path = `/artifacts/${on.needMade()}/data/${encoded(file.path)}`;
      const whole = (await on.tool.ask(path)).body;
      const range = (value: string) => on.tool.ask(path, { headers: { range: value } });
      const size = whole.length;
      expectRange(await range('bytes=1-2'), whole.subarray(1, 3), `bytes 1-2/${size}`);
      expectRange(await range('bytes=1-'), whole.subarray(1), `bytes 1-${size - 1}/${size}`);
      expectRange(await range('bytes=-2'), whole.subarray(size - 2), `bytes ${size - 2}-${size - 1}/${size}`);
      expectStatus(await range(`bytes=${size}-`), 416);
    },
  },
  {
    title: 'no path leads out of the data (traversal, absolute, encoded)',
    async run(on) {
      for (const folder of ['data', 'input-files'])
        for (const path of ESCAPES) {
          const answer = await on.tool.ask(`/artifacts/${on.needMade()}/${folder}/${path}`);
          expectThat([400, 404].includes(answer.status), 'status 400 or 404', shown(answer));
        }
    },
  },
  {
    title: 'a file and an artifact that are not there are answered with 404',
    async run(on) {
      const name = on.needMade();
      expectProblem(await on.tool.ask(`/artifacts/${name}/data/no-such-file.bin`), 404);
      for (const part of ['', 'status', 'log', 'data', 'files', 'data/x', 'input-parameters', 'input-files', 'metrics', 'metrics/x/latest'])
        expectProblem(await on.tool.ask(`/artifacts/no-such-artifact/${part}`), 404);
      expectProblem(await on.tool.ask('/artifacts/no-such-artifact/cancel', { method: 'POST' }), 404);
      expectProblem(await on.tool.ask('/artifacts/no-such-artifact/', { method: 'DELETE' }), 404);
    },
  },
];

function expectRange(answer: Answer, bytes: Buffer, contentRange: string): void {
  expectThat(
    answer.status === 206 && answer.headers['content-range'] === contentRange && answer.body.equals(bytes),
    `206 with content-range: ${contentRange} and ${bytes.length} bytes`,
    `${answer.status} with content-range: ${answer.headers['content-range']} and ${answer.body.length} bytes`,
  );
}
