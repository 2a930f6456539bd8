import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { AppError, issuesOf } from '@selvedge/contract';
import { PROJECT_FILE } from '@selvedge/runtime/project';
import { type ServerConfig, serverConfigSchema } from './config.ts';

export const USAGE = `usage: server [flags]

  --data DIR            where everything is kept (default .selvedge, env SELVEDGE_DATA)
  --port PORT           port of the web page and the API (default 7070, env SELVEDGE_PORT; 0 picks a free one)
  --host ADDRESS        address to listen on for them (default 127.0.0.1, env SELVEDGE_HOST)
  --device-port PORT    port for devices (default 7443, env SELVEDGE_DEVICE_PORT)
  --device-host ADDRESS address to listen on for devices (default 127.0.0.1, env SELVEDGE_DEVICE_HOST)
  --advertise NAME      name or address under which devices reach this machine; may be repeated (env SELVEDGE_ADVERTISE, comma-separated)
  --broker URL          a broker of its own for the devices, like mqtts://broker:8883 (env SELVEDGE_BROKER)
  --broker-advertise URL address under which devices reach it (default: that of --broker; env SELVEDGE_BROKER_ADVERTISE)
  --broker-ca FILE      authorities of its certificate (default: the authority of the devices; env SELVEDGE_BROKER_CA)
  --broker-cert FILE    certificate of this server there (default: made by the authority of the devices; env SELVEDGE_BROKER_CERT)
  --broker-key FILE     its key (env SELVEDGE_BROKER_KEY)
  --project FILE        tools of a project (default selvedge.yaml, where it is there; env SELVEDGE_PROJECT)
  --web DIR             folder of the built web UI (env SELVEDGE_WEB)
  --log-level LEVEL     debug, info, warn or error (default info, env SELVEDGE_LOG_LEVEL)

environment: SELVEDGE_TOOL_COMMAND, a JSON list: the command that starts a tool, without the tool's name
             SELVEDGE_TARGETS_DIR, the folder of the toolchains that packages are built with (default DIR/targets)
             SELVEDGE_TOOL_TOKEN_FILE, a file with the token of tools that others start ("url" in the project file)
             SELVEDGE_TOOL_ORIGIN, where those reach this server, like http://server:7070
             SELVEDGE_OBJECT_CACHE_MIB, what the objects that builds compiled may take there (default 1024)
             SELVEDGE_DELTA_CACHE_MIB, what patches between versions may take (default 1024; 0: devices fetch whole files)`;

const OPTIONS = {
  data: { type: 'string' },
  port: { type: 'string' },
  host: { type: 'string' },
  'device-port': { type: 'string' },
  'device-host': { type: 'string' },
  advertise: { type: 'string', multiple: true },
  broker: { type: 'string' },
  'broker-advertise': { type: 'string' },
  'broker-ca': { type: 'string' },
  'broker-cert': { type: 'string' },
  'broker-key': { type: 'string' },
  project: { type: 'string' },
  web: { type: 'string' },
  'log-level': { type: 'string' },
  help: { type: 'boolean' },
} as const;

function readFlags(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: false }).values;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AppError('USAGE', { message: reason, hint: USAGE }, { cause });
  }
}

/** Where this installation's other parts are, seen from the file that runs (src/main.ts or dist/server.js). */
function installation(mainUrl: string): {
  toolCommand: string[];
  deltaCommand: string[];
  webDir: string | null;
  pythonPath: string;
  nodeKit: string;
} {
  const part = (path: string) => fileURLToPath(new URL(`../../${path}`, mainUrl));
  const webDir = part('web/dist');
  const isSource = mainUrl.endsWith('.ts');
  return {
    toolCommand: isSource
      ? [process.execPath, '--import', import.meta.resolve('tsx'), part('tools/src/main.ts')]
      : [process.execPath, part('tools/dist/tools.js')],
    deltaCommand: isSource
      ? [process.execPath, '--import', import.meta.resolve('tsx'), part('server/src/delta-maker/main.ts')]
      : [process.execPath, part('server/dist/delta-maker.js')],
    webDir: existsSync(webDir) ? webDir : null,
    pythonPath: part('../clients/python/src'),
    nodeKit: isSource ? part('tools/src') : part('tools/dist/selvedge-kit'),
  };
}

type BrokerFlag = 'broker' | 'broker-advertise' | 'broker-ca' | 'broker-cert' | 'broker-key';

/** Null when none was given; what belongs to one without its address is left for the schema to refuse. */
function brokerOf(text: (flag: BrokerFlag, variable: string) => string | undefined): unknown {
  const path = (file: string | undefined) => (file === undefined ? undefined : resolve(file));
  const given = {
    url: text('broker', 'SELVEDGE_BROKER'),
    advertise: text('broker-advertise', 'SELVEDGE_BROKER_ADVERTISE'),
    caFile: path(text('broker-ca', 'SELVEDGE_BROKER_CA')),
    certFile: path(text('broker-cert', 'SELVEDGE_BROKER_CERT')),
    keyFile: path(text('broker-key', 'SELVEDGE_BROKER_KEY')),
  };
  return Object.values(given).every((value) => value === undefined) ? null : given;
}

function readToolCommand(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('USAGE', { message: 'SELVEDGE_TOOL_COMMAND is not a JSON list.' }, { cause });
  }
}

/** Undefined when nothing is set; what is no number is refused by the schema. */
function readMebibytes(text: string | undefined): number | undefined {
  return text === undefined || text === '' ? undefined : Number(text) * 1024 ** 2;
}

/**
 * Settings from flags, then environment, then defaults.
 *
 * @returns undefined when help was asked for.
 * @throws AppError USAGE (user) with all faults.
 */
export function readServerConfig(args: string[], env: NodeJS.ProcessEnv, mainUrl: string): ServerConfig | undefined {
  const flags = readFlags(args);
  if (flags.help === true) return undefined;
  const defaults = installation(mainUrl);
  const text = (flag: string | undefined, variable: string): string | undefined => flag ?? (env[variable] || undefined);
  const port = (flag: string | undefined, variable: string): number | string | undefined => {
    const given = text(flag, variable);
    return given !== undefined && /^\d+$/.test(given) ? Number(given) : given;
  };
  const toolCommand = env.SELVEDGE_TOOL_COMMAND;
  const parsed = serverConfigSchema.safeParse({
    dataDir: resolve(text(flags.data, 'SELVEDGE_DATA') ?? '.selvedge'),
    port: port(flags.port, 'SELVEDGE_PORT'),
    host: text(flags.host, 'SELVEDGE_HOST'),
    devicePort: port(flags['device-port'], 'SELVEDGE_DEVICE_PORT'),
    deviceHost: text(flags['device-host'], 'SELVEDGE_DEVICE_HOST'),
    advertise: flags.advertise ?? env.SELVEDGE_ADVERTISE?.split(',').filter((name) => name !== ''),
    broker: brokerOf((flag, variable) => text(flags[flag], variable)),
    webDir: text(flags.web, 'SELVEDGE_WEB') ?? defaults.webDir,
    projectFile: resolve(text(flags.project, 'SELVEDGE_PROJECT') ?? PROJECT_FILE),
    projectFileOptional: text(flags.project, 'SELVEDGE_PROJECT') === undefined,
    pythonPath: defaults.pythonPath,
    nodeKit: defaults.nodeKit,
    toolTokenFile: env.SELVEDGE_TOOL_TOKEN_FILE ? resolve(env.SELVEDGE_TOOL_TOKEN_FILE) : null,
    toolOrigin: env.SELVEDGE_TOOL_ORIGIN || null,
    targetsDir: env.SELVEDGE_TARGETS_DIR ? resolve(env.SELVEDGE_TARGETS_DIR) : null,
    toolCommand: toolCommand ? readToolCommand(toolCommand) : defaults.toolCommand,
    deltaCommand: defaults.deltaCommand,
    deltaCacheBytes: readMebibytes(env.SELVEDGE_DELTA_CACHE_MIB),
    logLevel: text(flags['log-level'], 'SELVEDGE_LOG_LEVEL'),
  });
  if (parsed.success) return parsed.data;
  throw new AppError('USAGE', { message: 'The settings are not valid.', hint: USAGE, issues: issuesOf(parsed.error) });
}
