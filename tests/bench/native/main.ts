// `npm run bench:native [-- --only digits,detector --subjects pipeline,size --rounds 7 --requests 1000000 --json FILE --quick]`:
// native packages against ONNX Runtime in C++ and the Python script that users write, all in one run.
import { rmSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { BenchContext, NETWORK_NAMES } from './bench-context.ts';
import { describeMachine, formatTable, isMet, QUICK_SLACK, type Table } from './report.ts';
import { accuracy } from './subjects/accuracy.ts';
import { correctness } from './subjects/correctness.ts';
import { instructions } from './subjects/instructions.ts';
import { serving } from './subjects/server.ts';
import { buildTime, sizes } from './subjects/size.ts';
import { inference, overhead, pipeline } from './subjects/speed.ts';
import { startUp } from './subjects/start-up.ts';

const SUBJECTS: Readonly<Record<string, (context: BenchContext) => Promise<Table>>> = {
  correctness,
  pipeline,
  inference,
  overhead,
  start: startUp,
  size: sizes,
  instructions,
  server: serving,
  accuracy,
  build: buildTime,
};
/** What --quick leaves out: it takes minutes, or needs large downloads. */
const SLOW = ['instructions', 'overhead', 'build'];

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: NETWORK_NAMES.join() },
    subjects: { type: 'string' },
    rounds: { type: 'string' },
    requests: { type: 'string', default: '100000' },
    json: { type: 'string' },
    quick: { type: 'boolean', default: false },
  },
});

function chosen(given: string, known: readonly string[], what: string): string[] {
  const names = given.split(',').filter((name) => name !== '');
  const wrong = names.find((name) => !known.includes(name));
  if (wrong !== undefined) throw new Error(`There is no ${what} ${wrong}; there are ${known.join(', ')}.`);
  return names;
}

const { quick } = values;
const all = Object.keys(SUBJECTS).filter((name) => !quick || !SLOW.includes(name));
// Without the comparison first, nothing is measured.
const subjects = [
  'correctness',
  ...chosen(values.subjects ?? all.join(), Object.keys(SUBJECTS), 'subject').filter((name) => name !== 'correctness'),
];
const context = await BenchContext.create({
  networks: chosen(values.only, NETWORK_NAMES, 'network').filter((name) => !quick || name !== 'mobilenet'),
  subjects,
  rounds: Number(values.rounds ?? (quick ? 2 : 7)),
  requests: Number(values.requests),
  quick,
});
const slack = quick ? QUICK_SLACK : 1;
const machine = describeMachine();
process.stdout.write(
  `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, Linux ${machine.kernel}, Node ${machine.node}, ${machine.commit}, load ${machine.load.join(' ')}\n`,
);
process.once('exit', () => rmSync(context.folder, { recursive: true, force: true }));
await mkdir(context.folder, { recursive: true });
const tables: Table[] = [];
let missed = 0;
for (const name of subjects) {
  const table = await SUBJECTS[name]?.(context);
  if (table === undefined) continue;
  tables.push(table);
  process.stdout.write(formatTable(table, slack));
  const wrong = table.rows.filter((row) => !isMet(row, slack)).length;
  missed += wrong;
  if (name === 'correctness' && wrong > 0) throw new Error('The packages do not compute what ONNX Runtime computes: nothing is measured.');
}
if (values.json !== undefined) {
  const command = `npm run bench:native -- ${process.argv.slice(2).join(' ')}`.trim();
  const result = { command, machine, endLoad: describeMachine().load, tables };
  await writeFile(values.json, `${JSON.stringify(result, null, 2)}\n`);
}
process.stdout.write(
  `\n${missed === 0 ? 'All bars are met.' : `${missed} bars are missed.`}${quick ? ` (ceilings are ${QUICK_SLACK} times the bars)` : ''}\n`,
);
process.exit(missed === 0 ? 0 : 1);
