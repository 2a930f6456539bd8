const MANY_CONNECTIONS: Readonly<Record<string, string>> = {
  MALLOC_MMAP_THRESHOLD_: '12288',
  MALLOC_MMAP_MAX_: '60000', // the kernel's own bound on mappings is 65,530
  MALLOC_ARENA_MAX: '2',
};

/**
 * Environment for a process that holds thousands of TLS connections, on top of `env`, whose own settings of the allocator win.
 *
 * Node keeps a buffer of 64 KiB per connection and touches the first kilobytes of it. From glibc's heap it gets memory that others have
 * written to before, so that all of it stays resident; from a mapping of its own, only what it touches. Musl ignores these variables.
 */
export function withConnectionAllocator(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { ...MANY_CONNECTIONS, ...env };
}

/** Called by such a process, so that its children, which compute, have the allocator's own settings. */
export function keepAllocatorFromChildren(): void {
  for (const [name, value] of Object.entries(MANY_CONNECTIONS)) if (process.env[name] === value) delete process.env[name];
}
