// Run after `npm install` has changed package-lock.json. A registry mirror may lack packages of platforms that nobody uses
// there; npm then leaves them out of the lock, and `npm ci` refuses the lock everywhere. This puts them back by name, so
// that the lock is complete; on their own platform npm fetches them from a registry that has them.
import { readFileSync, writeFileSync } from 'node:fs';

const PATH = new URL('../package-lock.json', import.meta.url);
const OS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32'];
const CPU = ['arm64', 'arm', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x'];

/** `@oxc-parser/binding-linux-arm-musleabihf` runs on linux, arm, musl. */
function platformOf(name) {
  const words = name.split(/[/-]/);
  const libc = /musl/.test(name) ? ['musl'] : /gnu/.test(name) && words.includes('linux') ? ['glibc'] : undefined;
  return { cpu: CPU.filter((cpu) => words.includes(cpu)), ...(libc && { libc }), os: OS.filter((os) => words.includes(os)) };
}

const lock = JSON.parse(readFileSync(PATH, 'utf8'));
const added = [];
for (const [folder, entry] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    const nested = `${folder}/node_modules/${name}`;
    const hoisted = `node_modules/${name}`;
    if (lock.packages[nested] !== undefined || lock.packages[hoisted] !== undefined || !/^\d/.test(range)) continue;
    const platform = platformOf(name);
    if (platform.os.length === 0 || platform.cpu.length === 0) continue;
    lock.packages[hoisted] = { version: range, ...platform, ...(entry.dev && { dev: true }), optional: true };
    added.push(`${name}@${range}`);
  }
}
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
writeFileSync(PATH, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(added.length === 0 ? 'The lock is complete.\n' : `Added ${added.join(', ')}\n`);
