import 'reflect-metadata'; // before the library, which needs it while it loads
import { createPublicKey } from 'node:crypto';
import { Pkcs10CertificateRequest } from '@peculiar/x509';
import { joinRequestSchema } from '@selvedge/contract';
import { expectThat, Mismatch } from '@selvedge/runtime/mismatch';
import { connectIn, type Examination, isJoin, jsonOf, requestsIn } from '../examination.ts';
import { NotObservable } from '../not-observable.ts';
import type { SeenRequest } from '../seen.ts';
import type { Check } from './check.ts';

function requestOf(body: string) {
  const parsed = joinRequestSchema.safeParse(jsonOf(body));
  expectThat(parsed.success, 'a join request of the documented fields', body.slice(0, 200));
  return parsed.data;
}

/** EC P-256 or P-384, or RSA of 2048 bits or more, signed with that key. */
async function checkRequest(csrPem: string): Promise<string> {
  let request: Pkcs10CertificateRequest;
  try {
    request = new Pkcs10CertificateRequest(csrPem);
  } catch {
    throw new Mismatch('a PKCS#10 request in PEM', csrPem.slice(0, 120));
  }
  expectThat(await request.verify(), 'a request that is signed with its own key', 'another signature');
  const key = createPublicKey({ key: Buffer.from(request.publicKey.rawData), format: 'der', type: 'spki' });
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  const isGood = ['prime256v1', 'secp384r1'].includes(namedCurve ?? '') || (modulusLength ?? 0) >= 2048;
  expectThat(
    isGood,
    'an EC P-256 or P-384 key, or an RSA key of 2048 bits or more',
    `${key.asymmetricKeyType} ${namedCurve ?? modulusLength}`,
  );
  return key.export({ format: 'pem', type: 'spki' }).toString();
}

async function keyStaysHome(on: Examination): Promise<void> {
  const { body } = await on.joined();
  expectThat(!body.includes('PRIVATE KEY'), 'a request without a private key', 'one with "PRIVATE KEY" in it');
  await checkRequest(requestOf(body).csrPem);
}

async function secretWaits(on: Examination): Promise<void> {
  const { mark } = on.seen;
  const process = await on.agent.join('deceived', on.server.token('foreign-authority'));
  try {
    await on.waitFor(mark, 'a connection', (events) => events.find(({ kind }) => kind === 'tcp'));
    await Promise.race([process.ended, on.quiet(3000)]);
    const sent = requestsIn(on.seen.after(mark));
    expectThat(
      sent.length === 0,
      'no request to a server that is not of the authority of the token',
      `${sent[0]?.method} ${sent[0]?.path}`,
    );
  } finally {
    await process.kill();
  }
}

/** Whoever answers a join can write any authority into it; what counts is the one that the token names. */
async function pinsTheVouched(on: Examination): Promise<void> {
  const { server } = on;
  const { shapeAnswer } = server.http;
  // Without "trust", as a server of the first release answers.
  server.http.shapeAnswer = ({ device, certificatePem }) => ({ device, certificatePem, caPem: server.foreignCaPem });
  try {
    await on.joinIn('pinned');
  } finally {
    server.http.shapeAnswer = shapeAnswer;
  }
  await refuses(on, 'pinned', 'foreign-authority', 'an authority that only the answer of the join named');
}

async function mainRefuses(on: Examination, persona: 'foreign-authority' | 'other-name', what: string): Promise<void> {
  await on.joined();
  await refuses(on, 'main', persona, what);
}

/** The agent, started on this folder, says nothing to a server that has this persona. */
async function refuses(on: Examination, folder: string, persona: 'foreign-authority' | 'other-name', what: string): Promise<void> {
  await on.server.become(persona);
  const { mark } = on.seen;
  const process = await on.agent.run(folder, on.server.token());
  try {
    await on.waitFor(mark, 'a connection', (events) => events.find(({ kind }) => kind === 'tcp'));
    await on.quiet(2500);
    const spoke = on.seen.after(mark).some(({ kind }) => kind === 'data');
    expectThat(!spoke, `silence towards a server with a certificate of ${what}`, on.seen.shownAfter(mark));
  } finally {
    await process.kill();
    await on.server.become('itself');
  }
}

async function asksAgain(on: Examination): Promise<void> {
  const { mark } = on.seen;
  on.server.http.refuseJoins = ['JOIN_PENDING', 'JOIN_PENDING'];
  const joins = (): SeenRequest[] => requestsIn(on.seen.after(mark).filter(isJoin));
  let process = await on.agent.join('pending', on.server.token());
  try {
    await on.waitFor(mark, 'POST /device/v1/join', () => joins()[0]);
    // An agent may also end, and be started again by what keeps it.
    if ((await Promise.race([process.ended, on.quiet(300)])) !== undefined) process = await on.agent.join('pending', on.server.token());
    await on.waitFor(mark, 'the same request again', () => joins()[1], 30_000);
    await process.kill();
    process = await on.agent.join('pending', on.server.token());
    const last = await on.waitFor(mark, 'the same request after a restart', () => joins()[2], 30_000);
    const keys = await Promise.all([joins()[0], last].map((request) => checkRequest(requestOf(request?.body ?? '').csrPem)));
    expectThat(keys[0] === keys[1], 'the same key in each request of one join', 'another key');
  } finally {
    await process.kill();
    on.server.http.refuseJoins = [];
  }
}

async function takesNo(on: Examination): Promise<void> {
  const { mark } = on.seen;
  on.server.http.refuseJoins = ['JOIN_REJECTED', 'JOIN_REJECTED', 'JOIN_REJECTED'];
  const process = await on.agent.join('rejected', on.server.token());
  try {
    await on.waitFor(mark, 'POST /device/v1/join', (events) => events.find(isJoin));
    await Promise.race([process.ended, on.quiet(5000)]);
    const count = on.seen.after(mark).filter(isJoin).length;
    expectThat(count === 1, 'one request, because JOIN_REJECTED is final', `${count} requests`);
  } finally {
    await process.kill();
    on.server.http.refuseJoins = [];
  }
}

/** As on a device whose clock is years behind. */
async function forgivesDates(on: Examination): Promise<void> {
  await on.server.become('not-yet-valid');
  try {
    await on.joinIn('clockless').catch((error: unknown) => {
      if (error instanceof Mismatch) throw new Mismatch('a join although the certificate of the server begins in a year', error.got);
      throw error;
    });
  } finally {
    await on.server.become('itself');
  }
}

/** Half of the certificate's life is over as soon as it is there. */
async function renews(on: Examination): Promise<void> {
  const hourMs = 3_600_000;
  on.server.http.certificatePeriod = { fromMs: -10 * hourMs, untilMs: hourMs };
  const { mark: before } = on.seen;
  try {
    await on.joinIn('renewing');
  } finally {
    on.server.http.certificatePeriod = { fromMs: -hourMs, untilMs: 24 * hourMs };
  }
  const first = requestsIn(on.seen.after(before)).find(({ path }) => path === '/device/v1/join');
  const process = await on.agent.run('renewing', on.server.token());
  try {
    const isRenewal = ({ path }: SeenRequest) => path === '/device/v1/renew';
    const what = 'POST /device/v1/renew, because half of the life of the certificate is over';
    const renewal = await on.waitFor(before, what, (events) => requestsIn(events).find(isRenewal));
    const keys = [requestOf(first?.body ?? '').csrPem, csrOf(renewal)];
    const [old, renewed] = await Promise.all(keys.map(checkRequest));
    expectThat(old !== renewed, 'a new key in the renewal', 'the key of before');
    await usesTheNew(on, before);
  } finally {
    await process.kill();
  }
}

async function usesTheNew(on: Examination, before: number): Promise<void> {
  const shown = () =>
    on.seen.after(before).flatMap((event) => (event.kind === 'tls' && event.certificate !== undefined ? [event.certificate] : []));
  await on.quiet();
  const old = shown()[0];
  const mark = on.seen.mark;
  on.server.cut();
  await on.waitFor(mark, 'a connection with the renewed certificate', () =>
    shown().at(-1) === old ? undefined : connectIn(on.seen.after(mark)),
  );
}

function csrOf({ body }: SeenRequest): string {
  const value = jsonOf(body);
  const csrPem = typeof value === 'object' && value !== null && 'csrPem' in value ? value.csrPem : undefined;
  if (typeof csrPem !== 'string') throw new NotObservable('the renewal has no csrPem');
  return csrPem;
}

export const JOIN_CHECKS: readonly Check[] = [
  { rule: 'R6', run: secretWaits },
  { rule: 'R5', run: keyStaysHome },
  { rule: 'R7', run: pinsTheVouched },
  { rule: 'R27', run: asksAgain },
  { rule: 'R27', run: takesNo },
  { rule: 'R28', run: forgivesDates },
  { rule: 'R8', run: renews },
  { rule: 'R2', run: (on) => mainRefuses(on, 'foreign-authority', 'another authority') },
  { rule: 'R2', run: (on) => mainRefuses(on, 'other-name', 'another name') },
];
