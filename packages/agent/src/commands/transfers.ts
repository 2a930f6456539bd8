import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openBlob, type ServerAccess, sendPart, sentBytes } from '@selvedge/device-link';
import type { Logger } from '@selvedge/runtime';
import { AllowedRoots } from '../adapters/files/allowed-roots.ts';
import { DiskDeviceFiles } from '../adapters/files/disk-device-files.ts';
import { FileTransfers } from '../services/file-transfers.ts';
import type { Settings } from './settings.ts';

export interface TransferParts {
  dir: string;
  /** Where is noted which folders are being replaced. */
  unfinishedDir: string;
  settings: Settings;
  access: () => Promise<ServerAccess>;
  log: Logger;
  clock: () => number;
}

/** Puts together what moves files. Loaded with the first transfer only. */
export async function openTransfers({ dir, unfinishedDir, settings, access, log, clock }: TransferParts): Promise<FileTransfers> {
  const own = join(dir, 'files');
  const { roots = [own], readRoots = roots } = settings.files ?? {};
  if (roots.includes(own)) await mkdir(own, { recursive: true });
  const files = new DiskDeviceFiles({
    dir,
    unfinishedDir,
    readRoots: new AllowedRoots(readRoots),
    writeRoots: new AllowedRoots(roots),
    openBlob: async (sha256, offset, signal) => openBlob(await access(), sha256, offset, signal),
    sentBytes: async (operation, signal) => sentBytes(await access(), operation, signal),
    sendPart: async (operation, part, signal) => sendPart(await access(), operation, part, signal),
    log,
    clock,
  });
  return new FileTransfers(files);
}
