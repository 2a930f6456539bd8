// Loaded before a tool of a project (`node --import`): `@selvedge/tools` is the kit of this installation, so that a project
// needs no packages of ours and tool and kit are always of one version.
import * as nodeModule from 'node:module';

const isSource = import.meta.url.endsWith('.ts');
const KIT: Readonly<Record<string, string>> = {
  '@selvedge/tools': new URL(isSource ? '../kit/author.ts' : './kit.js', import.meta.url).href,
  '@selvedge/tools/testing': new URL(isSource ? '../kit/author-testing.ts' : './testing.js', import.meta.url).href,
};

type Resolved = { url: string; shortCircuit?: boolean };
type Resolve = (specifier: string, context: unknown, next: (specifier: string, context: unknown) => Resolved) => Resolved;

/** Hooks in the thread itself: Node 22.15 and newer. */
const { registerHooks } = nodeModule as { registerHooks?: (hooks: { resolve: Resolve }) => void };
if (registerHooks !== undefined) {
  const resolve: Resolve = (specifier, context, next) => {
    const url = KIT[specifier];
    return url === undefined ? next(specifier, context) : { url, shortCircuit: true };
  };
  registerHooks({ resolve });
} else {
  // Before that they live in a thread of their own, which is given a program.
  const program = `const kit = ${JSON.stringify(KIT)};
export const resolve = (specifier, context, next) =>
  kit[specifier] === undefined ? next(specifier, context) : { url: kit[specifier], shortCircuit: true };`;
  nodeModule.register(`data:text/javascript,${encodeURIComponent(program)}`);
}
