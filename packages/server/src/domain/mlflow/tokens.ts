import { AppError } from '@selvedge/contract';

export interface Token {
  /** `word`: bare; `name`: in backticks; `text`: in quotes. */
  readonly kind: 'word' | 'name' | 'text' | 'number' | 'symbol';
  /** Without its quotes. */
  readonly text: string;
  readonly quote?: string;
  /** Where it begins, from 0. */
  readonly at: number;
}

const MAX_LENGTH = 10_000;
const PATTERNS: readonly { kind: Token['kind']; pattern: RegExp }[] = [
  { kind: 'text', pattern: /'([^']*)'/y },
  { kind: 'text', pattern: /"([^"]*)"/y },
  { kind: 'name', pattern: /`([^`]*)`/y },
  { kind: 'number', pattern: /([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])/y },
  // A key may hold "." and "/" itself, as in metrics.validation/accuracy or tags.mlflow.user; the entity before it may not.
  { kind: 'word', pattern: /([A-Za-z_][\w]*)/y },
  { kind: 'symbol', pattern: /(!=|<=|>=|[=<>.,()])/y },
];
const KEY = /([\w][\w./-]*)/y;

/** Cuts a filter into words. @throws AppError INPUT_INVALID (user) at a character that begins none. */
export function readTokens(text: string): Token[] {
  if (text.length > MAX_LENGTH) throw new AppError('INPUT_INVALID', { message: `A filter has at most ${MAX_LENGTH} characters.` });
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    if (/\s/.test(text[at] ?? '')) {
      at += 1;
      continue;
    }
    const afterDot = tokens.at(-1)?.kind === 'symbol' && tokens.at(-1)?.text === '.';
    const key = afterDot ? match(KEY, text, at) : undefined;
    const found = key === undefined ? firstMatch(text, at) : { kind: 'word' as const, ...key };
    if (found === undefined) {
      throw new AppError('INPUT_INVALID', {
        message: `Invalid filter: nothing begins with character ${at + 1} of "${text.slice(0, 200)}".`,
      });
    }
    const { kind, inner, whole } = found;
    tokens.push({ kind, text: inner, at, ...(kind === 'text' ? { quote: whole.slice(0, 1) } : {}) });
    at += whole.length;
  }
  return tokens;
}

function firstMatch(text: string, at: number) {
  for (const { kind, pattern } of PATTERNS) {
    const found = match(pattern, text, at);
    if (found !== undefined) return { kind, ...found };
  }
  return undefined;
}

function match(pattern: RegExp, text: string, at: number): { whole: string; inner: string } | undefined {
  pattern.lastIndex = at;
  const [whole, inner] = pattern.exec(text) ?? [];
  return whole === undefined || inner === undefined ? undefined : { whole, inner };
}
