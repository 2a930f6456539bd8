// Works with a cache of objects again and again, as builds do, so that tests can run several of these or kill one.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { sha256Hex } from '@selvedge/runtime';
import { FileDigests, ObjectCache } from '../compile/object-cache.ts';
import { usingObjects } from '../compile/object-space.ts';

const [cacheDir = '', name = '', rounds = '', limit = ''] = process.argv.slice(2);
const OBJECTS = 8;

/** As compileSources does: from the cache, or made and noted. */
async function objectOf(cache: ObjectCache, source: string): Promise<string> {
  const key = sha256Hex(source);
  const known = await cache.find(key, []);
  if (known !== undefined) return known;
  const variant = await cache.prepare(key, [], { roots: [], fixed: [] });
  const path = cache.objectPath(variant.object);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, source.repeat(1000));
  await cache.note(key, variant);
  return path;
}

for (let round = 0; round < Number(rounds); round += 1) {
  await usingObjects(
    cacheDir,
    async () => {
      const cache = new ObjectCache(cacheDir, new FileDigests());
      const objects: string[] = [];
      // Some that others use too, some of its own.
      for (let index = 0; index < OBJECTS; index += 1) objects.push(await objectOf(cache, `source ${index % 2 ? name : round}-${index}`));
      process.stdout.write('has its objects\n');
      for (const path of objects) await readFile(path);
      if (rounds === '1') await new Promise(() => setInterval(() => undefined, 1000));
    },
    { limitBytes: Number(limit) },
  );
}
