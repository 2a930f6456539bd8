import { artifactSummarySchema } from '@selvedge/contract';
import * as z from 'zod';
import { expectThat } from '../../mismatch.ts';
import type { Answer } from '../connection.ts';
import { expectJson, expectProblem, expectStatus, NotApplicable, shown } from '../expectation.ts';
import { exampleBytes, type Verification } from '../verification.ts';
import type { Check } from './check.ts';
import { artifactListSchema } from './description.ts';

const inputFilesSchema = z.object({ items: z.array(z.object({ name: z.string(), sizeBytes: z.int().min(0) })) });

/** 202 with the place of the artifact, before the work is done. */
function expectAccepted(on: Verification, answer: Answer, name: string): void {
  expectStatus(answer, 202);
  const summary = expectJson(answer, artifactSummarySchema, "the artifact's summary");
  const { name: tool, makes } = on.needDescription();
  expectThat(summary.name === name && summary.tool === tool && summary.type === makes, `${makes} "${name}" of tool ${tool}`, summary);
  expectThat(
    ['queued', 'in-progress'].includes(summary.state.status),
    'queued or in-progress: 202 comes before the work',
    summary.state.status,
  );
  const location = String(answer.headers.location ?? '');
  expectThat(location.endsWith(`/artifacts/${name}/`), `location: .../artifacts/${name}/`, `location: ${location}`);
}

async function expectCompleted(on: Verification, name: string): Promise<void> {
  const { status, seen } = await on.finished(name);
  expectThat(status.status === 'completed', 'completed', { seen, error: status.error });
  const wrong = seen.slice(0, -1).filter((state) => state !== 'queued' && state !== 'in-progress');
  expectThat(wrong.length === 0, 'queued, then in-progress, then completed', seen);
  expectThat(status.progress === 1 && status.error === null && status.attempt >= 1, 'progress 1, no error, attempt 1 or more', status);
  expectThat(status.startedAt !== null && status.finishedAt !== null, 'the times of start and end', status);
}

/** Creation in its three forms, and what an artifact says of where it comes from. */
export const CREATION_CHECKS: readonly Check[] = [
  {
    title: 'an upload (multipart/form-data) is answered at once with 202, and becomes completed',
    async run(on) {
      const name = on.name('uploaded');
      expectAccepted(on, await on.upload(name), name);
      await expectCompleted(on, name);
      on.made = name;
    },
  },
  {
    title: 'input-files lists what was uploaded and gives each file',
    async run(on) {
      const path = `/artifacts/${on.needMade()}/input-files`;
      const { items } = expectJson(await on.tool.ask(path), inputFilesSchema, 'a list of files');
      const inputs = Object.entries(on.needExample().inputs).map(([input, source]) => ({
        name: `${input}/${source.file}`,
        bytes: exampleBytes(source),
      }));
      const wanted = inputs.map(({ name, bytes }) => `${name} ${bytes.length}`).sort();
      const got = items.map(({ name, sizeBytes }) => `${name} ${sizeBytes}`).sort();
      expectThat(wanted.join() === got.join(), wanted.join(', ') || 'an empty list', got);
      for (const { name, bytes } of inputs) {
        const answer = await on.tool.ask(`${path}/${name}`);
        expectThat(
          answer.status === 200 && answer.body.equals(bytes),
          `the ${bytes.length} bytes of ${name}`,
          `${answer.status}, ${answer.body.length} bytes`,
        );
      }
      expectProblem(await on.tool.ask(`${path}/no-such-input/none.bin`), 404);
    },
  },
  {
    title: 'input-parameters gives the parameters as they were given',
    async run(on) {
      const given = expectJson(
        await on.tool.ask(`/artifacts/${on.needMade()}/input-parameters`),
        z.record(z.string(), z.unknown()),
        'the parameters',
      );
      expectThat(sameJson(given, on.needExample().parameters), JSON.stringify(on.needExample().parameters), given);
    },
  },
  {
    title: 'JSON is answered at once with 202; inputs are fetched from the URLs of another artifact',
    async run(on) {
      const inputs = on.inputUrls(on.needMade());
      const name = on.name('fetched');
      expectAccepted(on, await on.post({ name, parameters: on.needExample().parameters, inputs }), name);
      await expectCompleted(on, name);
    },
  },
  {
    title: 'the same request again is answered with what there is; another one of the same name with 409',
    async run(on) {
      const name = on.needMade();
      expectStatus(await on.upload(name), 200);
      const problem = expectProblem(
        await on.post({ name, parameters: { ...on.needExample().parameters }, inputs: { ...otherInputs(on) } }),
        409,
      );
      expectThat(problem.code === 'CONFLICT', 'the code CONFLICT', problem.code);
    },
  },
  {
    title: 'the artifact has a summary and is in the list',
    async run(on) {
      const name = on.needMade();
      const summary = expectJson(await on.tool.ask(`/artifacts/${name}/`), artifactSummarySchema, 'a summary');
      expectThat(summary.name === name && summary.state.status === 'completed', `"${name}", completed`, summary);
      const { items } = expectJson(await on.tool.ask('/artifacts'), artifactListSchema, 'a list of artifacts');
      expectThat(
        items.some((item) => item.name === name),
        `"${name}" in the list`,
        items.map((item) => item.name),
      );
    },
  },
  {
    title: 'the log is text; with ?follow=1 it ends when the work does',
    async run(on) {
      const name = on.name('followed');
      expectStatus(await on.upload(name), 202);
      const followed = await on.tool.ask(`/artifacts/${name}/log?follow=1`);
      const { status } = await on.status(name);
      expectThat(status === 'completed', 'completed when the followed log has ended', status);
      const log = await on.tool.ask(`/artifacts/${name}/log`);
      const type = String(log.headers['content-type'] ?? '');
      expectThat(log.status === 200 && type.startsWith('text/plain'), 'status 200 and text/plain', `${shown(log)} (${type})`);
      expectThat(
        log.body.length > 0 && log.body.equals(followed.body),
        'the whole log by both',
        `${log.body.length} and ${followed.body.length} bytes`,
      );
    },
  },
];

/** Inputs by URL instead of by upload: another request. */
function otherInputs(on: Verification): Record<string, { url: string }> {
  const inputs = on.inputUrls(on.needMade());
  if (Object.keys(inputs).length === 0) throw new NotApplicable('the example has no inputs that could differ');
  return inputs;
}

function sameJson(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, index) => sameJson(item, b[index]));
  if (typeof a === 'object' && typeof b === 'object' && a !== null && b !== null) {
    const [left, right] = [Object.entries(a), new Map(Object.entries(b))];
    return left.length === right.size && left.every(([key, value]) => right.has(key) && sameJson(value, right.get(key)));
  }
  return a === b;
}
