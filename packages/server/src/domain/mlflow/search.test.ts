import { AppError } from '@selvedge/contract';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseFilter, parseOrderBy } from './search.ts';

describe('parseFilter', () => {
  it.each([
    [
      "metrics.acc > 0.9 and params.y = 'z'",
      [
        ['metric', 'acc', '>', 0.9],
        ['param', 'y', '=', 'z'],
      ],
    ],
    ['metrics.`val loss` <= -1.5e-3', [['metric', 'val loss', '<=', -0.0015]]],
    ['metrics.validation/accuracy>=1', [['metric', 'validation/accuracy', '>=', 1]]],
    ['tags.mlflow.user != "me"', [['tag', 'mlflow.user', '!=', 'me']]],
    ['tags."mlflow.source.name" ILIKE \'%.PY\'', [['tag', 'mlflow.source.name', 'ILIKE', '%.PY']]],
    [
      "attributes.status = 'FINISHED' AND status LIKE 'F%'",
      [
        ['attribute', 'status', '=', 'FINISHED'],
        ['attribute', 'status', 'LIKE', 'F%'],
      ],
    ],
    ["run_id IN ('a', 'b')", [['attribute', 'id', 'IN', ['a', 'b']]]],
    ["attribute.run_id NOT IN ('a')", [['attribute', 'id', 'NOT IN', ['a']]]],
    ['attributes.start_time > 1700000000000', [['attribute', 'startMs', '>', 1_700_000_000_000]]],
    ['params.`it\'s` = "it\'s"', [['param', "it's", '=', "it's"]]],
    ['  ', []],
  ])('reads %s', (text, expected) => {
    expect(parseFilter(text).map(({ field, operator, value }) => [field.kind, field.key, operator, value])).toEqual(expected);
  });

  it.each([
    "metrics.acc > 'high'",
    'params.lr = 0.1',
    "metrics.acc LIKE 'x'",
    "params.x > 'a'",
    "params.x IN ('a')",
    "unknown.x = 'a'",
    "attributes.colour = 'red'",
    'metrics.a > 1 or metrics.b > 2',
    'metrics.a > 1 and',
    'metrics.a > 1 metrics.b > 1',
    "params.x = 'open",
    'metrics.a >',
    'run_id IN ()',
    "params.x = 'a'; drop table runs",
    'metrics.a > 1e999',
  ])('refuses %s and says where', (text) => {
    expect(() => parseFilter(text)).toThrow(AppError);
    expect(() => parseFilter(text)).toThrow(/character \d+|finite/);
  });

  it('reads back any value in quotes, and fails on nothing else than its input', () => {
    fc.assert(
      fc.property(
        fc.string({ maxLength: 40 }).filter((text) => !text.includes("'")),
        (value) => {
          expect(parseFilter(`params.x = '${value}'`)).toMatchObject([{ value }]);
        },
      ),
    );
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), (text) => {
        try {
          parseFilter(text);
        } catch (error) {
          expect(error).toMatchObject({ code: 'INPUT_INVALID' });
        }
      }),
    );
  });
});

describe('parseOrderBy', () => {
  it('reads fields with and without a direction', () => {
    expect(parseOrderBy(['metrics.acc DESC', 'params.lr', 'attributes.start_time asc', 'start_time desc'])).toEqual([
      { field: { kind: 'metric', key: 'acc' }, descending: true },
      { field: { kind: 'param', key: 'lr' }, descending: false },
      { field: { kind: 'attribute', key: 'startMs' }, descending: false },
      { field: { kind: 'attribute', key: 'startMs' }, descending: true },
    ]);
  });

  it.each(['metrics.acc DOWN', 'metrics', '', 'metrics.a DESC DESC'])('refuses %j', (text) => {
    expect(() => parseOrderBy([text])).toThrow(AppError);
  });
});
