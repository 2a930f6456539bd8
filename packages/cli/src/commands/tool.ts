import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { AppError, type ToolExample, toolExampleSchema } from '@selvedge/contract';
import { explainUnreadable } from '@selvedge/runtime';
import { locateIssues, parseDocuments } from '@selvedge/runtime/documents';
import { type CheckResult, type ToolVerification, verifyTool } from '@selvedge/runtime/tool-conformance';
import { type Command, Option } from 'commander';
import * as z from 'zod';
import { ChildEnded } from '../child-ended.ts';
import { toolInstallation } from '../install-root.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { globalOptions } from '../options.ts';
import { paint } from '../output/paint.ts';
import { openSession, type Session } from '../session.ts';
import { newTool } from '../tools/new-tool.ts';
import { runOwnTests, toolFileIn, verifyFolder } from '../tools/test-tool.ts';

/** As the description's example, and inputs may be files beside this one. */
const exampleFileSchema = toolExampleSchema.extend({
  inputs: z
    .record(z.string(), z.union([toolExampleSchema.shape.inputs.unwrap().valueType, z.strictObject({ path: z.string().min(1) })]))
    .default({}),
});

async function readBytes(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw explainUnreadable(cause, path);
  }
}

/** @throws AppError DOCUMENT_SYNTAX, INPUT_INVALID, FILE_UNREADABLE (user) with file and line. */
async function readExample(path: string, shownPath: string): Promise<ToolExample> {
  const [document] = parseDocuments((await readBytes(path)).toString('utf8'), shownPath);
  const parsed = exampleFileSchema.safeParse(document?.value);
  if (!parsed.success) {
    const issues = document === undefined ? [] : locateIssues(document, shownPath, parsed.error);
    throw new AppError('INPUT_INVALID', { message: `${shownPath} is not an example.`, issues });
  }
  const inputs: ToolExample['inputs'] = {};
  for (const [name, source] of Object.entries(parsed.data.inputs)) {
    if (!('path' in source)) inputs[name] = source;
    else {
      const bytes = await readBytes(resolve(dirname(path), source.path));
      inputs[name] = { file: basename(source.path).replace(/[^A-Za-z0-9._-]+/g, '_'), base64: bytes.toString('base64') };
    }
  }
  return { parameters: parsed.data.parameters, inputs };
}

function toolUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol))
    throw new AppError('USAGE', { message: `Not an http(s) URL: ${text}`, hint: 'Give it like http://127.0.0.1:7070/containers/train.' });
  return text.replace(/\/+$/, '');
}

/** The token that was given; else the session's for a tool behind its server. It must not reach anybody else. */
function tokenFor(url: string, session: Session, called: Command): string | undefined {
  const { env } = session.io;
  const { serverUrl, token } = session.settings;
  const isBehindServer = new URL(url).origin === new URL(serverUrl).origin;
  return globalOptions(called).token ?? (isBehindServer ? token : env.SELVEDGE_TOOL_TOKEN || env.SELVEDGE_TOKEN || undefined);
}

function lineOf(session: Session, { check, outcome, expected, got, because }: CheckResult): string {
  const tint = { ok: 'green', failed: 'red', skipped: 'yellow' } as const;
  const mark = paint(outcome.padEnd(7), tint[outcome], session.settings.color);
  if (outcome === 'failed') return `${mark} ${check}\n          expected ${expected}\n          got      ${got}`;
  return `${mark} ${check}${because === undefined ? '' : ` (${because})`}`;
}

/** Each check as soon as it is known, where a person reads. */
function show(session: Session, check: CheckResult): void {
  const { output, quiet } = session.settings;
  if (output === 'table' && !(quiet && check.outcome !== 'failed')) session.print(lineOf(session, check));
}

function summary({ tool, checks }: ToolVerification): string {
  const count = (outcome: CheckResult['outcome']) => checks.filter((check) => check.outcome === outcome).length;
  return `${tool ?? 'The tool'}: ${count('ok')} ok, ${count('failed')} failed, ${count('skipped')} skipped.`;
}

export function registerTool(command: Command, io: Io): void {
  registerNew(command, io);
  registerTest(command, io);
  registerVerify(command, io);
}

function registerVerify(command: Command, io: Io): void {
  const verify = command
    .command('verify <url>')
    .description('check that a tool, in whatever language, keeps the tool API')
    .option('--example <file>', 'parameters and inputs to make artifacts of (default: the example of its description)')
    .action(async (given: string, { example }: { example?: string }, called: Command) => {
      const session = await openSession(called, io);
      const url = toolUrl(given);
      const result = await verifyTool({
        url,
        token: tokenFor(url, session, called),
        example: example === undefined ? undefined : await readExample(resolve(io.cwd, example), example),
        signal: io.signal,
        onCheck: (check) => show(session, check),
      });
      await session.result(result, () => summary(result));
      // What failed has been said; the exit code says that something has.
      if (!result.passed) throw new ChildEnded(1);
    });
  finishLeaf(verify, {
    examples: [
      'selvedge tool verify http://127.0.0.1:7070/containers/train',
      'selvedge tool verify http://127.0.0.1:9000 --token "$SELVEDGE_TOOL_TOKEN" --example example.yaml',
    ],
    notes: `Every check is printed as ok, failed or skipped; the exit code is 1 when one failed. A tool behind the server is
reached with the server's token, another one with --token or SELVEDGE_TOOL_TOKEN.

An example file has "parameters" and "inputs", each input as {path: FILE}, {file: NAME, text: TEXT} or {file: NAME, base64: BYTES}.`,
  });
}

function registerNew(command: Command, io: Io): void {
  const create = command
    .command('new <name>')
    .description('make a working tool with its test, and list it in selvedge.yaml')
    .addOption(new Option('--lang <language>', 'language of the tool').choices(['py', 'ts']).default('py'))
    .action(async (name: string, { lang }: { lang: 'py' | 'ts' }, called: Command) => {
      const session = await openSession(called, io);
      const made = await newTool(io.cwd, name, lang);
      await session.result({ name, ...made }, () => made.files.join('\n'));
      session.note(`selvedge.yaml ${made.listed ? 'lists it now' : 'lists it already'}: "selvedge up" in this folder runs it.
  selvedge tool test tools/${name}                 checks it, and runs its test`);
    });
  finishLeaf(create, { examples: ['selvedge tool new count', 'selvedge tool new count --lang ts'], server: false });
}

function registerTest(command: Command, io: Io): void {
  const test = command
    .command('test <folder>')
    .description("start the tool of a folder, check that it keeps the tool API, and run the author's tests")
    .action(async (given: string, _options: unknown, called: Command) => {
      const session = await openSession(called, io);
      const installation = toolInstallation();
      const file = toolFileIn(resolve(io.cwd, given));
      const result = await verifyFolder(file, installation, io, (check) => show(session, check));
      const code = await runOwnTests(file, installation, io);
      const ownTests = code === undefined ? 'none' : code === 0 ? 'passed' : 'failed';
      await session.result({ ...result, ownTests }, () => `${summary(result)} Own tests: ${ownTests}.`);
      if (!result.passed || ownTests === 'failed') throw new ChildEnded(1);
    });
  finishLeaf(test, { examples: ['selvedge tool test tools/count'], server: false });
}
