import { expectThat } from '../../mismatch.ts';
import { expectJson, expectProblem, expectStatus, NotApplicable } from '../expectation.ts';
import type { Check } from './check.ts';
import { artifactListSchema } from './description.ts';

/** How an artifact ends otherwise than completed, and how it goes. */
export const LIFE_CHECKS: readonly Check[] = [
  {
    title: 'an input that is not there makes the artifact failed, with a code and a reason',
    async run(on) {
      const inputs = on.inputUrls(on.needMade());
      const [input] = Object.keys(inputs);
      if (input === undefined) throw new NotApplicable('the example has no inputs that could be missing');
      const name = on.name('failed');
      const missing = { ...inputs, [input]: { url: `${on.tool.url}/artifacts/no-such-artifact/data` } };
      expectStatus(await on.post({ name, parameters: on.needExample().parameters, inputs: missing }), 202);
      const { status } = await on.finished(name);
      expectThat(
        status.status === 'failed' && status.error !== null && status.error.message !== '',
        'failed, with code and message',
        status,
      );
      const problem = expectProblem(await on.tool.ask(`/artifacts/${name}/data`), 409);
      expectThat(problem.code === 'CONFLICT', 'the code CONFLICT for the data of a failed artifact', problem.code);
    },
  },
  {
    title: 'what waits or is being made can be cancelled; the rest of the queue goes on',
    async run(on) {
      on.needMade();
      const names = ['first', 'second', 'third'].map((which) => on.name(`cancel-${which}`));
      for (const name of names) expectStatus(await on.upload(name), 202);
      const [first = '', second = '', third = ''] = names;
      for (const name of [third, first]) expectStatus(await on.tool.ask(`/artifacts/${name}/cancel`, { method: 'POST' }), 202);
      // Quick work may be done before it is cancelled: then it stays completed.
      for (const name of [third, first]) {
        const { status } = await on.finished(name);
        expectThat(['cancelled', 'completed'].includes(status.status), 'cancelled, or completed before that', status);
        expectThat(status.error === null, 'no error: cancelling is no failure', status.error);
      }
      const { status } = await on.finished(second);
      expectThat(status.status === 'completed', 'the one between them completed', status);
    },
  },
  {
    title: 'cancelling a finished artifact changes nothing',
    async run(on) {
      const name = on.needMade();
      const before = await on.status(name);
      expectStatus(await on.tool.ask(`/artifacts/${name}/cancel`, { method: 'POST' }), 202);
      expectThat(JSON.stringify(await on.status(name)) === JSON.stringify(before), 'the same status', await on.status(name));
    },
  },
  {
    title: 'DELETE removes an artifact while it waits or is being made',
    async run(on) {
      on.needMade();
      const name = on.name('dropped');
      expectStatus(await on.upload(name), 202);
      expectStatus(await on.tool.ask(`/artifacts/${name}/`, { method: 'DELETE' }), 204);
      expectProblem(await on.tool.ask(`/artifacts/${name}/status`), 404);
    },
  },
  {
    title: 'DELETE removes a finished artifact; a second time is answered with 404',
    async run(on) {
      const name = on.needMade();
      const remove = () => on.tool.ask(`/artifacts/${name}/`, { method: 'DELETE' });
      expectStatus(await remove(), 204);
      expectProblem(await remove(), 404);
      expectProblem(await on.tool.ask(`/artifacts/${name}/data`), 404);
      const { items } = expectJson(await on.tool.ask('/artifacts'), artifactListSchema, 'a list of artifacts');
      expectThat(!items.some((item) => item.name === name), `no "${name}" in the list`, name);
    },
  },
];
