import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { AppError } from '@selvedge/contract';

export interface ProgramAccount {
  ids: { uid: number; gid: number } | Record<string, never>;
  home: string;
  name: string | undefined;
}

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** @throws AppError NOT_FOUND (user) when the device has no such user. */
export async function programAccount(user: string | undefined): Promise<ProgramAccount> {
  if (user === undefined) return { ids: {}, home: homedir(), name: undefined };
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  const found = lines.find(([name]) => name === user);
  if (found === undefined) throw new AppError('NOT_FOUND', { message: `The device has no user "${user}".` });
  return { ids: { uid: Number(found[2]), gid: Number(found[3]) }, home: found[5] ?? '/', name: user };
}

/** What a program finds in its environment: nothing of the agent's. */
export function cleanEnvironment(account: ProgramAccount): Record<string, string> {
  return {
    PATH,
    LANG: 'C.UTF-8',
    HOME: account.home,
    ...(account.name === undefined ? {} : { USER: account.name, LOGNAME: account.name }),
  };
}
