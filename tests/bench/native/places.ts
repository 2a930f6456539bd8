import { join } from 'node:path';
import { TEST_TARGETS_DIR } from '../../native/harness/targets.ts';

/** What is downloaded or built for the benchmark only; it can be deleted at any time. */
export const BENCH_CACHE_DIR = join(TEST_TARGETS_DIR, '../selvedge-bench');

/** Objects of the runtime and of the peers: not the tests' ones, which another installation may clear meanwhile. */
export const OBJECTS_DIR = join(BENCH_CACHE_DIR, 'objects');
/** The programs of the peers: sources in C++ and Python. */
export const PEERS_DIR = join(import.meta.dirname, 'peers');
