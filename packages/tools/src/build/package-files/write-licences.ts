import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '@selvedge/runtime';
import type { Component } from './debian-components.ts';

/** Full texts that Debian's copyright files refer to instead of repeating them. */
const COMMON = /\/usr\/share\/common-licenses\/([A-Za-z0-9.-]*[A-Za-z0-9])/g;

const fileNameOf = (name: string): string => name.replaceAll('+', 'p').replace(/[^A-Za-z0-9_.-]/g, '-');

/**
 * Writes licences/<source>.txt for every component that has a text, and licences/common/ with what the texts refer to.
 *
 * @param sysroot - where /usr/share/common-licenses is looked up.
 */
export async function writeLicences(folder: string, components: readonly Component[], sysroot: string): Promise<void> {
  const texts = new Map<string, string>();
  for (const { source, licenceText } of components) {
    if (licenceText !== undefined && !texts.has(source)) texts.set(source, licenceText);
  }
  await mkdir(join(folder, 'licences/common'), { recursive: true });
  const referred = new Set<string>();
  for (const [source, text] of texts) {
    await writeFile(join(folder, 'licences', `${fileNameOf(source)}.txt`), text);
    for (const [, name = ''] of text.matchAll(COMMON)) referred.add(name);
  }
  for (const name of referred) {
    try {
      await writeFile(join(folder, 'licences/common', `${name}.txt`), await readFile(join(sysroot, 'usr/share/common-licenses', name)));
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error; // not part of this sysroot
    }
  }
}
