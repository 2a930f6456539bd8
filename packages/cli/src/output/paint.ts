const CODES = { red: 31, green: 32, yellow: 33, dim: 2, bold: 1 } as const;
export type Tint = keyof typeof CODES;

/** Text in a colour, or as it is when colours are off. */
export function paint(text: string, tint: Tint, isOn: boolean): string {
  return isOn ? `\u001b[${CODES[tint]}m${text}\u001b[0m` : text;
}

const GOOD = ['ok', 'online', 'serving', 'healthy', 'completed', 'Succeeded', 'Ready', 'created', 'succeeded', 'passed'];
const BAD = ['offline', 'failed', 'unhealthy', 'Failed', 'stopped', 'degraded', 'conflict', 'aborted', 'reverting'];

/** The tint of a state's name; undefined for states in between. */
export function tintOf(state: string): Tint | undefined {
  if (GOOD.includes(state)) return 'green';
  if (BAD.includes(state)) return 'red';
  return undefined;
}
