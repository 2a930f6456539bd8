import { artifactSummarySchema, toolDescriptionSchema, toolExampleSchema, toolHealthSchema } from '@selvedge/contract';
import * as z from 'zod';
import { expectThat } from '../../mismatch.ts';
import { expectJson, expectProblem, NotApplicable } from '../expectation.ts';

import { parameterSchemaFrom } from '../wrong-parameters.ts';
import { type Check, requiredInputs } from './check.ts';

export const artifactListSchema = z.object({ items: z.array(artifactSummarySchema) });

/** What a tool says of itself before anything is made. */
export const DESCRIPTION_CHECKS: readonly Check[] = [
  {
    title: 'GET / describes the tool',
    async run(on) {
      on.description = expectJson(await on.tool.ask('/'), toolDescriptionSchema, 'a description');
      const { inputs, example } = on.description;
      const isBare = requiredInputs(inputs).length === 0;
      on.example ??= example ?? (isBare ? toolExampleSchema.parse({}) : undefined);
    },
  },
  {
    title: 'its parameters are the JSON Schema of an object',
    async run(on) {
      const { parameters } = on.needDescription();
      expectThat(parameterSchemaFrom(parameters) !== undefined, '{"type": "object", "properties": ...}', parameters);
      schemaFrom(parameters);
    },
  },
  {
    title: 'there is an example, and it fits parameters and inputs',
    async run(on) {
      const { parameters, inputs } = on.needDescription();
      expectThat(on.example !== undefined, 'an "example" in the description, or one given in a file', 'none');
      const unknown = Object.keys(on.example.inputs).filter((name) => !Object.hasOwn(inputs, name));
      expectThat(unknown.length === 0, `inputs among ${JSON.stringify(Object.keys(inputs))}`, unknown);
      const missing = requiredInputs(inputs).filter((name) => !Object.hasOwn(on.example?.inputs ?? {}, name));
      expectThat(missing.length === 0, 'every input that the tool needs', `nothing for ${missing.join(', ')}`);
      const fits = schemaFrom(parameters).safeParse(on.example.parameters);
      expectThat(fits.success, 'parameters that fit the schema', fits.error?.message ?? '');
    },
  },
  {
    title: 'GET /health answers while nothing is made',
    async run(on) {
      expectJson(await on.tool.ask('/health'), toolHealthSchema, 'a health report');
    },
  },
  {
    title: 'GET /artifacts lists artifacts',
    async run(on) {
      expectJson(await on.tool.ask('/artifacts'), artifactListSchema, 'a list of artifacts');
    },
  },
  {
    title: 'a request without the token is refused with 401',
    async run(on) {
      if (on.tool.token === undefined) throw new NotApplicable('no token was given');
      for (const authorization of ['', 'Bearer wrong-token-0123456789'])
        expectProblem(await on.tool.ask('/artifacts', { headers: { authorization } }), 401);
    },
  },
  {
    title: 'an unknown route is answered with 404 and a problem document',
    async run(on) {
      expectProblem(await on.tool.ask('/no-such-route'), 404);
    },
  },
];

function schemaFrom(schema: Record<string, unknown>): z.ZodType {
  try {
    return z.fromJSONSchema(schema);
  } catch (error) {
    expectThat(false, 'a JSON Schema', error instanceof Error ? error.message : String(error));
  }
}
