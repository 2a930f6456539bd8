import { AppError, parseJoinToken, type SimulationReport, simulationJobSchema } from '@selvedge/contract';
import { parseServerUrl } from '@selvedge/device-link';
import { findServerCa, makeCertificateRequest, makeDeviceKey } from '@selvedge/device-link/joining';
import { createLogger, exitWithParent, readJsonFile, runMain } from '@selvedge/runtime';
import { Identities, type SimulationHead } from './adapters/identities.ts';
import { Fleet } from './services/fleet.ts';

function print(report: SimulationReport): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

/** `simulator JOBFILE`: runs the job and prints a report each second, and one at the end, as JSON lines. */
async function main(signal: AbortSignal): Promise<number> {
  const [path] = process.argv.slice(2);
  const job = path === undefined ? undefined : await readJsonFile(path, simulationJobSchema);
  if (job === undefined)
    throw new AppError('USAGE', { message: 'The simulator needs the path of a job.', hint: 'Call it by "selvedge simulate".' });
  const identities = new Identities(job.identitiesFile);
  await identities.load();
  const { host, port } = parseServerUrl(job.url);
  const { caSha256 } = parseJoinToken(job.token);
  const prepare = async (): Promise<SimulationHead & { csrPem: string }> => {
    if (identities.head?.caSha256 !== caSha256)
      await identities.create({ caPem: await findServerCa(host, port, caSha256), caSha256, keyPem: makeDeviceKey() });
    const { head } = identities;
    if (head === undefined) throw new AppError('INTERNAL', { message: 'There is no identity to join with.' });
    return { ...head, csrPem: await makeCertificateRequest(head.keyPem, job.prefix) };
  };
  const parentGone = new AbortController();
  exitWithParent(() => parentGone.abort());
  const log = createLogger({ name: 'simulator', level: 'warn' });
  const fleet = new Fleet({ job, identities, prepare, log, onReport: print });
  print(await fleet.run(AbortSignal.any([signal, parentGone.signal])));
  return 0;
}

await runMain(main);
process.exit();
