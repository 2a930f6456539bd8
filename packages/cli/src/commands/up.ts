import { type ServerReady, serverReadySchema } from '@selvedge/contract';
import { withConnectionAllocator } from '@selvedge/runtime';
import { type Command, Option } from 'commander';
import { runForeground } from '../foreground.ts';
import { serverCommand } from '../install-root.ts';
import type { Io } from '../io.ts';
import { finishLeaf } from '../leaf.ts';
import { collect, globalOptions, integer } from '../options.ts';
import { renderFields } from '../output/table.ts';
import { dataDirOf } from '../settings.ts';

interface UpOptions {
  port?: number;
  host?: string;
  devicePort?: number;
  deviceHost?: string;
  advertise?: string[];
  broker?: string;
  brokerAdvertise?: string;
  brokerCa?: string;
  brokerCert?: string;
  brokerKey?: string;
  project?: string;
  logLevel?: string;
}

const MAX_PORT = 65_535;
const LOG_LEVELS = ['debug', 'info', 'warn', 'error'];

function parseReady(line: string): ServerReady | undefined {
  if (!line.startsWith('{')) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined; // some other output of the server; it is passed on
  }
  return serverReadySchema.safeParse(value).data;
}

function serverArguments(options: UpOptions, dataDir: string): string[] {
  const args = ['--data', dataDir];
  const add = (flag: string, value: string | number | undefined) => {
    if (value !== undefined) args.push(flag, String(value));
  };
  add('--port', options.port);
  add('--host', options.host);
  add('--device-port', options.devicePort);
  add('--device-host', options.deviceHost);
  for (const address of options.advertise ?? []) add('--advertise', address);
  add('--broker', options.broker);
  add('--broker-advertise', options.brokerAdvertise);
  add('--broker-ca', options.brokerCa);
  add('--broker-cert', options.brokerCert);
  add('--broker-key', options.brokerKey);
  add('--project', options.project);
  add('--log-level', options.logLevel);
  return args;
}

function welcome(ready: ServerReady): string {
  const facts = renderFields([
    ['Web page', ready.loginUrl],
    ['Devices', ready.deviceUrl],
    ['Data folder', ready.dataDir],
  ]);
  return `Selvedge is up.

${facts}

The link signs one browser in, once; "selvedge open" makes another. In a second terminal:
  selvedge device token                          to let a device join
  selvedge dataset add NAME --from FOLDER        to add data
  selvedge apply -f pipeline.json --name NAME    to describe what to train
  selvedge pipeline run NAME --watch             to train it
Ctrl-C stops the server.`;
}

export function registerUp(command: Command, io: Io): void {
  command
    .option('--port <port>', 'port of the web page and the API; 0 picks a free one (default: 7070)', integer(0, MAX_PORT))
    .option('--host <address>', 'address to listen on for them (default: 127.0.0.1)')
    .option('--device-port <port>', 'port for devices (default: 7443)', integer(0, MAX_PORT))
    .option('--device-host <address>', 'address to listen on for devices (default: 127.0.0.1)')
    .option('--advertise <host>', 'name or address under which devices reach this machine; may be repeated', collect)
    .option('--broker <url>', 'a broker of its own for the devices, such as Mosquitto, like mqtts://broker:8883')
    .option('--broker-advertise <url>', 'address under which devices reach it (default: that of --broker)')
    .option('--broker-ca <file>', 'authorities of its certificate (default: the authority of the devices)')
    .option('--broker-cert <file>', 'certificate of the server there (default: made by the authority of the devices)')
    .option('--broker-key <file>', 'its key')
    .option('--project <file>', 'tools of your own (default: selvedge.yaml in this folder, where it is there)')
    .addOption(new Option('--log-level <level>', 'how much the server says (default: info)').choices(LOG_LEVELS))
    .action(async (options: UpOptions, called: Command) => {
      const given = globalOptions(called);
      const isTable = (given.output ?? 'table') === 'table';
      await runForeground({
        command: [...serverCommand(), ...serverArguments(options, dataDirOf(given, io))],
        what: 'the server',
        env: withConnectionAllocator(io.env),
        io,
        errorsAsJson: given.output === 'json',
        onLine: (line) => {
          const ready = isTable ? parseReady(line) : undefined;
          if (ready === undefined) io.stdout.write(`${line}\n`);
          else io.stdout.write(`${given.quiet === true ? ready.loginUrl : welcome(ready)}\n`);
        },
      });
    });
  finishLeaf(command, {
    examples: ['selvedge up', 'selvedge up --port 8080 --device-host 0.0.0.0 --advertise edge-server.example.org'],
    notes: 'With -o json the line that the server prints when it is ready is passed on as it is.',
  });
}
