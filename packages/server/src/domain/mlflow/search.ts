import { AppError } from '@selvedge/contract';
import { readTokens, type Token } from './tokens.ts';

/** Columns of a run that a search may name, by the names that clients use for them. */
const ATTRIBUTES = {
  run_id: 'id',
  run_name: 'name',
  'run name': 'name',
  status: 'status',
  user_id: 'user',
  artifact_uri: 'artifactUri',
  start_time: 'startMs',
  end_time: 'endMs',
  created: 'startMs',
} as const;
type RunAttribute = (typeof ATTRIBUTES)[keyof typeof ATTRIBUTES];

export type RunField =
  | { readonly kind: 'metric' | 'param' | 'tag'; readonly key: string }
  | { readonly kind: 'attribute'; readonly key: RunAttribute };

type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=' | 'LIKE' | 'ILIKE' | 'IN' | 'NOT IN';

export interface Comparison {
  readonly field: RunField;
  readonly operator: Operator;
  /** A list for IN and NOT IN, a number for metrics and times, text for everything else. */
  readonly value: number | string | readonly string[];
}

export interface Ordering {
  readonly field: RunField;
  readonly descending: boolean;
}

const ENTITIES: Readonly<Record<string, RunField['kind']>> = {
  metric: 'metric',
  metrics: 'metric',
  param: 'param',
  params: 'param',
  parameter: 'param',
  parameters: 'param',
  tag: 'tag',
  tags: 'tag',
  attr: 'attribute',
  attribute: 'attribute',
  attributes: 'attribute',
  run: 'attribute',
};
const NUMBER_OPERATORS: readonly string[] = ['=', '!=', '<', '<=', '>', '>='];
const TEXT_OPERATORS: readonly string[] = ['=', '!=', 'LIKE', 'ILIKE'];
const LIST_OPERATORS: readonly string[] = ['IN', 'NOT IN'];
const MAX_COMPARISONS = 50;
const MAX_ORDERINGS = 10;

/**
 * Reads a filter of MLflow's run search: comparisons joined by AND, such as
 * `metrics.acc > 0.9 and params."model" = 'cnn' and attributes.status = 'FINISHED'`.
 *
 * @throws AppError INPUT_INVALID (user) that says what was expected where.
 */
export function parseFilter(text: string): Comparison[] {
  const reader = new TokenReader(text);
  const comparisons: Comparison[] = [];
  while (!reader.atEnd) {
    if (comparisons.length > 0) reader.expectWord('AND');
    if (comparisons.length === MAX_COMPARISONS) throw reader.invalid(`at most ${MAX_COMPARISONS} comparisons`);
    comparisons.push(readComparison(reader));
  }
  return comparisons;
}

/**
 * Reads what runs are sorted by: `metrics.acc DESC`, `attributes.start_time`.
 *
 * @throws AppError INPUT_INVALID (user).
 */
export function parseOrderBy(texts: readonly string[]): Ordering[] {
  return texts.slice(0, MAX_ORDERINGS).map((text) => {
    const reader = new TokenReader(text);
    const field = readField(reader);
    const descending = reader.takeWord('DESC');
    if (!descending) reader.takeWord('ASC');
    if (!reader.atEnd) throw reader.invalid('ASC, DESC or the end');
    return { field, descending };
  });
}

function readComparison(reader: TokenReader): Comparison {
  const field = readField(reader);
  const operator = readOperator(reader);
  const isNumber = field.kind === 'metric' || (field.kind === 'attribute' && (field.key === 'startMs' || field.key === 'endMs'));
  const takesList = field.kind === 'attribute' && field.key === 'id';
  const allowed = isNumber ? NUMBER_OPERATORS : [...TEXT_OPERATORS, ...(takesList ? LIST_OPERATORS : [])];
  if (!allowed.includes(operator)) throw reader.invalid(`for this field one of ${allowed.join(' ')}, not ${operator}`);
  if (operator === 'IN' || operator === 'NOT IN') return { field, operator, value: readList(reader) };
  return { field, operator, value: isNumber ? readNumber(reader) : reader.take('text', 'a value in quotes').text };
}

function readField(reader: TokenReader): RunField {
  const first = reader.takeName('a field such as metrics.accuracy');
  const kind = first.quoted ? undefined : ENTITIES[first.text.toLowerCase()];
  if (!reader.takeSymbol('.')) return attribute(reader, first.text);
  if (kind === undefined) throw reader.invalid('metrics, params, tags or attributes before the "."');
  const { text: key } = reader.takeName('a key');
  return kind === 'attribute' ? attribute(reader, key) : { kind, key };
}

function attribute(reader: TokenReader, name: string): RunField {
  const key = Object.entries(ATTRIBUTES).find(([known]) => known === name.toLowerCase())?.[1];
  if (key === undefined) throw reader.invalid(`one of the attributes ${Object.keys(ATTRIBUTES).join(', ')}, not "${name}"`);
  return { kind: 'attribute', key };
}

function readOperator(reader: TokenReader): Operator {
  for (const word of ['LIKE', 'ILIKE', 'IN'] as const) if (reader.takeWord(word)) return word;
  if (reader.takeWord('NOT')) {
    reader.expectWord('IN');
    return 'NOT IN';
  }
  for (const symbol of ['=', '!=', '<=', '>=', '<', '>'] as const) if (reader.takeSymbol(symbol)) return symbol;
  throw reader.invalid('a comparison');
}

function readNumber(reader: TokenReader): number {
  const value = Number(reader.take('number', 'a number').text);
  if (!Number.isFinite(value)) throw reader.invalid('a finite number');
  return value;
}

function readList(reader: TokenReader): string[] {
  const values: string[] = [];
  if (!reader.takeSymbol('(')) throw reader.invalid('"("');
  do values.push(reader.take('text', 'a value in quotes').text);
  while (reader.takeSymbol(','));
  if (!reader.takeSymbol(')')) throw reader.invalid('"," or ")"');
  return values;
}

class TokenReader {
  readonly #text: string;
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = readTokens(text);
  }

  get atEnd(): boolean {
    return this.#next === this.#tokens.length;
  }

  /** Keys may be bare, in double quotes or in backticks. */
  takeName(wanted: string): { text: string; quoted: boolean } {
    const token = this.#tokens[this.#next];
    const isName = token?.kind === 'word' || token?.kind === 'name' || (token?.kind === 'text' && token.quote === '"');
    if (token === undefined || !isName) throw this.invalid(wanted);
    this.#next += 1;
    return { text: token.text, quoted: token.kind !== 'word' };
  }

  take(kind: Token['kind'], wanted: string): Token {
    const token = this.#tokens[this.#next];
    if (token?.kind !== kind) throw this.invalid(wanted);
    this.#next += 1;
    return token;
  }

  takeWord(word: string): boolean {
    const token = this.#tokens[this.#next];
    if (token?.kind !== 'word' || token.text.toUpperCase() !== word) return false;
    this.#next += 1;
    return true;
  }

  expectWord(word: string): void {
    if (!this.takeWord(word)) throw this.invalid(word);
  }

  takeSymbol(symbol: string): boolean {
    const token = this.#tokens[this.#next];
    if (token?.kind !== 'symbol' || token.text !== symbol) return false;
    this.#next += 1;
    return true;
  }

  invalid(wanted: string): AppError {
    const at = this.#tokens[this.#next]?.at ?? this.#text.length;
    return new AppError('INPUT_INVALID', {
      message: `Invalid filter or order at character ${at + 1} of "${this.#text}": expected ${wanted}.`,
    });
  }
}
