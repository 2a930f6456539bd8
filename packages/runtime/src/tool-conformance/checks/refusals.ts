import { expectThat } from '../../mismatch.ts';
import { expectJson, expectProblem, NotApplicable } from '../expectation.ts';
import type { Verification } from '../verification.ts';
import { wrongParameters } from '../wrong-parameters.ts';
import { type Check, requiredInputs } from './check.ts';
import { artifactListSchema } from './description.ts';

/** Refused with 400, the faulty field among the issues. */
async function expectRefusal(on: Verification, request: unknown, field: string): Promise<void> {
  const answer = await on.tool.json('/artifacts', 'POST', request);
  const { issues = [] } = expectProblem(answer, 400, 422);
  const paths = issues.map(({ path }) => path);
  expectThat(
    paths.some((path) => path === field || path.startsWith(`${field}.`)),
    `an issue with the path "${field}"`,
    paths,
  );
}

/** What must not be accepted; nothing of it may be left behind. */
export const REFUSAL_CHECKS: readonly Check[] = [
  {
    title: 'wrong parameters are refused, each named',
    async run(on) {
      const wrong = wrongParameters(on.needDescription().parameters, on.needExample().parameters);
      if (wrong === undefined) throw new NotApplicable('the schema of the parameters allows anything');
      const answer = await on.upload(on.name('refused-parameters'), wrong.parameters);
      const paths = (expectProblem(answer, 400, 422).issues ?? []).map(({ path }) => path);
      const field = `parameters.${wrong.path}`;
      expectThat(paths.includes(field), `an issue with the path "${field}"`, paths);
    },
  },
  {
    title: 'parameters that are no object are refused',
    run: (on) => expectRefusal(on, { name: on.name('refused-text'), parameters: 'text' }, 'parameters'),
  },
  {
    title: 'a name that is a path, and no name, are refused',
    async run(on) {
      for (const name of ['../escaped', 'a/b', '..', '', undefined]) await expectRefusal(on, { name, parameters: {} }, 'name');
    },
  },
  {
    title: 'a field and an input that are not known are refused',
    async run(on) {
      const { parameters } = on.needExample();
      await expectRefusal(on, { name: on.name('refused-field'), parameters, colour: 'red' }, 'colour');
      const inputs = { 'no-such-input': { url: 'http://127.0.0.1:9/x' } };
      await expectRefusal(on, { name: on.name('refused-input'), parameters, inputs }, 'inputs.no-such-input');
    },
  },
  {
    title: 'an input that is missing, or no http URL, is refused',
    async run(on) {
      const [input] = requiredInputs(on.needDescription().inputs);
      if (input === undefined) throw new NotApplicable('the tool needs no input');
      const { parameters } = on.needExample();
      await expectRefusal(on, { name: on.name('refused-missing'), parameters }, `inputs.${input}`);
      const inputs = { [input]: { url: 'file:///etc/passwd' } };
      await expectRefusal(on, { name: on.name('refused-scheme'), parameters, inputs }, `inputs.${input}`);
    },
  },
  {
    title: 'a body that is not JSON, or of another kind, is refused',
    async run(on) {
      const post = (type: string, body: string) => on.tool.ask('/artifacts', { method: 'POST', headers: { 'content-type': type }, body });
      expectProblem(await post('application/json', '{'), 400);
      expectProblem(await post('application/xml', '<a/>'), 415);
    },
  },
  {
    title: 'what was refused is not there',
    async run(on) {
      const { items } = expectJson(await on.tool.ask('/artifacts'), artifactListSchema, 'a list of artifacts');
      const left = items.map(({ name }) => name).filter((name) => on.usedNames.includes(name));
      expectThat(left.length === 0, 'no artifact of a refused request', left);
    },
  },
];
