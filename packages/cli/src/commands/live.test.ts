import { chmod, mkdir, writeFile } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Run, ServerEvent } from '@selvedge/contract';
import { describe, expect, test } from 'vitest';
import { CliBench } from '../testing/bench-cli.ts';
import { run } from '../testing/sample-resources.ts';

const bench = new CliBench().install();

/** A run whose states the test sends out one by one over the event stream. */
class LiveRun {
  current: Run = run('digits-1', 0, 'running', 1);
  readonly #streams: ServerResponse[] = [];
  #opened: () => void = () => undefined;
  readonly streaming = new Promise<void>((resolve) => {
    this.#opened = resolve;
  });

  readonly handlers = {
    startRun: () => this.current,
    getResource: () => this.current,
    streamEvents: ({ response }: { response: ServerResponse }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(': hello\n\n');
      this.#streams.push(response);
      this.#opened();
    },
  };

  send(event: ServerEvent): void {
    for (const stream of this.#streams) stream.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  }

  become(state: Run): void {
    this.current = state;
    this.send({ type: 'resource', action: 'written', resource: state });
  }

  cut(): void {
    for (const stream of this.#streams.splice(0)) stream.destroy();
  }
}

describe('watching a run', () => {
  test('shows steps and metrics as they come and ends with the run', async () => {
    const live = new LiveRun();
    await bench.serve(live.handlers);
    const watching = bench.start(['pipeline', 'run', 'digits', '--watch']);
    await live.streaming;
    live.become(run('digits-1', 4, 'running', 2));
    await watching.seen(/split +done[\s\S]*train +0%/);
    const half = run('digits-1', 4, 'running', 3);
    half.status.steps = half.status.steps.map((step) => (step.name === 'train' ? { ...step, progress: 0.5 } : step));
    live.send({
      type: 'metric',
      run: 'digits-1',
      points: [{ metric: 'validation/accuracy', step: 1, value: 0.97531, at: '2026-01-02T03:04:05.000Z' }],
    });
    live.become(half);
    await watching.seen(/train +50%.*validation\/accuracy 0\.9753/);
    live.become(run('digits-1', 7, 'completed', 4));
    const { code, stdout, stderr } = await watching.ended();
    expect(code).toBe(0);
    expect(stdout).toMatch(/State +Succeeded/);
    expect(stderr).toContain('selvedge model show digits');
  });

  test('goes on by asking when the stream breaks off', async () => {
    const live = new LiveRun();
    await bench.serve(live.handlers);
    const watching = bench.start(['run', 'show', 'digits-1', '--watch', '-o', 'json']);
    await live.streaming;
    live.current = run('digits-1', 7, 'completed', 5);
    live.cut();
    const { code, stdout } = await watching.ended();
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ status: { phase: 'Succeeded' } });
  });

  test('works with a server that has no stream', async () => {
    const live = new LiveRun();
    await bench.serve({
      getResource: live.handlers.getResource,
      startRun: live.handlers.startRun,
      streamEvents: ({ response }) => {
        response.writeHead(503);
        response.end();
        live.current = run('digits-1', 7, 'completed', 5);
      },
    });
    expect(await bench.call(['pipeline', 'run', 'digits', '--watch'])).toMatchObject({ code: 0 });
  });

  test('of one that fails: exit 6, the step, its message and where the log is', async () => {
    const live = new LiveRun();
    await bench.serve(live.handlers);
    const watching = bench.start(['pipeline', 'run', 'digits', '--watch']);
    await live.streaming;
    live.become(run('digits-1', 4, 'failed', 2));
    const { code, stderr } = await watching.ended();
    expect(code).toBe(6);
    expect(stderr).toContain('step "train": the loss is NaN');
    expect(stderr).toMatch(/\nhint: "selvedge run logs digits-1 --step train" shows more\.\n$/);
  });

  test('of one that fails with an error of the table: the exit code of that error, and its own hint', async () => {
    const live = new LiveRun();
    await bench.serve(live.handlers);
    const watching = bench.start(['pipeline', 'run', 'digits', '--watch', '-o', 'json']);
    await live.streaming;
    const failed = run('digits-1', 1, 'failed', 2);
    failed.status.error = { code: 'INPUT_INVALID', message: 'path.train selects no picture.', hint: 'Splits: train, test.' };
    live.become(failed);
    const { code, stderr } = await watching.ended();
    expect(code).toBe(2);
    expect(JSON.parse(stderr.trim().split('\n').at(-1) ?? '')).toMatchObject({
      code: 'INPUT_INVALID',
      detail: expect.stringContaining('step "process": path.train selects no picture.'),
      hint: expect.stringMatching(/^Splits: train, test\. "selvedge run logs digits-1 --step process"/),
      exitCode: 2,
    });
  });

  test('interrupted: exit 130, the run goes on and how to end it', async () => {
    const live = new LiveRun();
    const server = await bench.serve(live.handlers);
    const watching = bench.start(['pipeline', 'run', 'digits', '--watch']);
    await live.streaming;
    watching.child.kill('SIGINT');
    const { code, stderr } = await watching.ended();
    expect(code).toBe(130);
    expect(stderr).toContain('Run digits-1 goes on');
    expect(stderr).toContain('selvedge run cancel digits-1');
    expect(server.calls).not.toContain('cancelRun');
  });
});

/** Stands in for a deployable of the installation: prints what it was called with, then waits for SIGTERM. */
const PROGRAM = `#!/usr/bin/env node
const args = process.argv.slice(2);
if (args.includes('0')) { console.error(process.env.SELVEDGE_ERROR_FORMAT === 'json' ? '{"code":"PORT_IN_USE"}' : 'error: the port is taken'); process.exit(4); }
if (args.includes('1')) process.kill(process.pid, 'SIGKILL');
if (args[0] === 'join') { console.log('joined ' + args.join(' ')); process.exit(0); }
process.on('SIGTERM', () => { console.log('stopped'); process.exit(0); });
process.stdin.resume();
console.log(JSON.stringify({ event: 'ready', url: 'http://127.0.0.1:1', deviceUrl: 'https://127.0.0.1:2', dataDir: args.join(' '), loginUrl: 'http://127.0.0.1:1/login#c' }));
`;

describe('up', () => {
  async function installServer(): Promise<void> {
    await mkdir(join(bench.root, 'packages/server/dist'), { recursive: true });
    await writeFile(join(bench.root, 'packages/server/dist/server.js'), PROGRAM.replace('#!/usr/bin/env node\n', ''));
  }

  test('says where the server is and what to do next; Ctrl-C stops it', async () => {
    await installServer();
    const up = bench.start(['up', '--port', '8080', '--device-host', '0.0.0.0', '--advertise', 'a.example', '--advertise', 'b.example']);
    await up.seen(/Ctrl-C stops the server/);
    expect(up.stdout).toContain('http://127.0.0.1:1/login#c');
    expect(up.stdout).toContain(
      `--data ${join(bench.cwd, '.selvedge')} --port 8080 --device-host 0.0.0.0 --advertise a.example --advertise b.example`,
    );
    up.child.kill('SIGINT');
    expect(await up.ended()).toMatchObject({ code: 0, stdout: expect.stringMatching(/stopped\n$/) });
  });

  test('passes the ready line on with -o json', async () => {
    await installServer();
    const up = bench.start(['up', '-o', 'json', '--data', 'd']);
    await up.seen(/"event":"ready"/);
    expect(JSON.parse(up.stdout)).toMatchObject({ dataDir: `--data ${join(bench.cwd, 'd')}` });
  });

  test('ends as the server ends', async () => {
    await installServer();
    expect(await bench.call(['up', '--port', '0'])).toMatchObject({ code: 4, stderr: 'error: the port is taken\n' });
    expect(await bench.call(['up', '--port', '0', '-o', 'json'])).toMatchObject({ code: 4, stderr: '{"code":"PORT_IN_USE"}\n' });
  });

  test('says that the server was killed, and what to do', async () => {
    await installServer();
    const { code, stderr } = await bench.call(['up', '--port', '1']);
    expect(code).toBe(6);
    expect(stderr).toMatch(/^error: The server was ended from outside by SIGKILL\.\nhint: .*call the command again/);
  });
});

describe('agent', () => {
  test('joins, then runs until Ctrl-C', async () => {
    const program = join(bench.root, 'packages/agent/bin/selvedge-agent');
    await mkdir(join(bench.root, 'packages/agent/bin'), { recursive: true });
    await writeFile(program, PROGRAM.replace('#!/usr/bin/env node', `#!${process.execPath}`));
    await chmod(program, 0o755);
    const args = ['agent', 'join', 'https://127.0.0.1:2', '--token', 'T', '--name', 'edge-1', '--label', 'a=b', '--label', 'c=d'];
    const running = bench.start(args);
    await running.seen(/ready/);
    const dir = join(bench.cwd, '.selvedge/agent');
    expect(running.stdout).toContain(`joined join https://127.0.0.1:2 --dir ${dir} --token T --name edge-1 --label a=b --label c=d\n`);
    expect(running.stdout).toContain(`run --dir ${dir}`);
    running.child.kill('SIGINT');
    expect(await running.ended()).toMatchObject({ code: 0 });
    expect(await bench.call([...args, '--no-run', '-o', 'json'])).toMatchObject({ code: 0, stdout: '' });
  });
});
