// What was measured, against what was promised.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';

export interface Bar {
  is: '<=' | '>=' | '<';
  value: number;
}

export interface Row {
  /** What the figure is of, e.g. "detector int8". */
  what: string;
  measured: number;
  unit: string;
  bar?: Bar;
  /** The same on a busy machine: --quick gives no slack. */
  isExact?: boolean;
  /** Further figures for people. */
  note?: string;
}

export interface Table {
  subject: string;
  /** How the figures are made. */
  how: string;
  rows: Row[];
}

/** With --quick bars are ceilings against gross faults only: a busy machine must not fail them. */
export const QUICK_SLACK = 2;

export function isMet({ measured, bar, isExact }: Row, allowed = 1): boolean {
  if (bar === undefined) return true;
  const slack = isExact === true ? 1 : allowed;
  if (Number.isNaN(measured)) return false;
  if (bar.is === '>=') return measured >= bar.value / slack;
  return bar.is === '<' ? measured < bar.value * slack : measured <= bar.value * slack;
}

function shown(value: number): string {
  if (!Number.isFinite(value)) return 'none';
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

export function formatTable({ subject, how, rows }: Table, slack: number): string {
  const lines = rows.map((row) => [
    row.what,
    `${shown(row.measured)} ${row.unit}`.trim(),
    row.bar === undefined ? '' : `${row.bar.is} ${row.bar.value}`,
    row.bar === undefined ? '' : isMet(row, slack) ? 'ok' : 'NOT',
    row.note ?? '',
  ]);
  const all = [['', 'measured', 'bar', '', ''], ...lines];
  const widths = [0, 1, 2, 3].map((column) => Math.max(...all.map((cells) => cells[column]?.length ?? 0)));
  const text = all.map((cells) => `  ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
  return `\n${subject}\n  ${how}\n${text.join('\n')}\n`;
}

export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  kernel: string;
  load: number[];
  node: string;
  commit: string;
}

export function describeMachine(): Machine {
  let commit = 'unknown';
  try {
    commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    // not a clone: the figures are still figures
  }
  const name = /^model name\s*:\s*(.+)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? cpus()[0]?.model ?? 'unknown';
  return {
    cpu: name,
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    load: loadavg().map((value) => Math.round(value * 10) / 10),
    node: process.version,
    commit,
  };
}
