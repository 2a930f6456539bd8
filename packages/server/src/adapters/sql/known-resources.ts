import type { AnyResource, Kind } from '@selvedge/contract';
import type { ResourceOf } from '../../ports/store.ts';
import { parseResource, type ResourceRow } from './rows.ts';

/** Names after which those are looked for whose resource is in use no more. */
const SWEEP_AT = 10_000;

/**
 * Resources that someone still holds, so that a row is parsed once and not by each who reads it: a fleet's devices are in memory anyway,
 * and reading one takes mostly the time of its schema. A row that another server has written since has another version, and is parsed.
 */
export class KnownResources {
  readonly #known = new Map<string, WeakRef<AnyResource>>();
  #sweepAt = SWEEP_AT;

  /**
   * @param row - as it is committed.
   * @throws AppError INTERNAL naming the row.
   */
  read<K extends Kind>(kind: K, row: ResourceRow): ResourceOf<K> {
    const known = this.find(kind, row);
    if (known !== undefined) return known;
    const resource = parseResource(kind, row);
    this.remember(resource);
    return resource;
  }

  /** @param row - perhaps not committed. */
  find<K extends Kind>(kind: K, row: ResourceRow): ResourceOf<K> | undefined {
    const known = this.#known.get(`${kind}/${row.name}`)?.deref();
    if (known?.metadata.uid !== row.uid || known.metadata.resourceVersion !== Number(row.resource_version)) return undefined;
    return known as ResourceOf<K>; // found by its kind
  }

  /** Only what is committed: of what is undone, the version is given again to something else. */
  remember(resource: AnyResource): void {
    this.#known.set(`${resource.kind}/${resource.metadata.name}`, new WeakRef(resource));
    if (this.#known.size >= this.#sweepAt) this.#sweep();
  }

  #sweep(): void {
    for (const [key, reference] of this.#known) if (reference.deref() === undefined) this.#known.delete(key);
    this.#sweepAt = Math.max(SWEEP_AT, this.#known.size * 2);
  }
}
