import Table from 'cli-table3';

const NO_BORDER = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '   ',
};

function isControl(character: string): boolean {
  const code = character.codePointAt(0) ?? 0;
  return code < 0x20 || (code >= 0x7f && code < 0xa0);
}

/** Text from elsewhere, made fit for one line of a terminal: it cannot move the cursor or change colours. */
export function oneLine(text: string): string {
  return [...text].map((character) => (isControl(character) ? ' ' : character)).join('');
}

/** A cell that carries its own colour codes; plain strings are made safe for the terminal first. */
export interface PaintedCell {
  readonly painted: string;
}
export type Cell = string | PaintedCell;

function cellText(cell: Cell): string {
  return typeof cell === 'string' ? oneLine(cell) : cell.painted;
}

/** Aligned columns without borders: an upper-case head, one line per row, no trailing blanks. */
export function renderTable(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const table = new Table({
    chars: NO_BORDER,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0, compact: true },
  });
  table.push([...head]);
  for (const row of rows) table.push(row.map(cellText));
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

/** `name   value` lines, the values aligned. */
export function renderFields(fields: readonly (readonly [string, Cell])[]): string {
  const width = Math.max(0, ...fields.map(([name]) => name.length));
  return fields.map(([name, value]) => `${name.padEnd(width)}   ${cellText(value)}`.trimEnd()).join('\n');
}
