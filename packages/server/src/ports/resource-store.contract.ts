import type { AnyResource } from '@selvedge/contract';
import { describe, expect, it } from 'vitest';
import type { ChangeAction, ResourceDraft, ResourceStore } from './store.ts';

const dataset = (name: string, labels: Record<string, string> = {}): ResourceDraft<'Dataset'> => ({
  name,
  labels,
  annotations: {},
  spec: { description: 'first' },
  status: { latestVersion: null, versions: [] },
});

/** Of an empty store. */
export function describeResources(store: () => ResourceStore, announced: () => { action: ChangeAction; resource: AnyResource }[]): void {
  describe('resources', () => {
    it('gives a new resource a uid, generation 1 and times', async () => {
      const made = await store().create('Dataset', dataset('a', { site: 'x' }));
      expect(made).toMatchObject({
        kind: 'Dataset',
        spec: { description: 'first' },
        metadata: { name: 'a', generation: 1, resourceVersion: 1 },
      });
      expect(await store().get('Dataset', 'a')).toEqual(made);
      expect(await store().get('Task', 'a')).toBeUndefined();
    });

    it('refuses a name that is taken and leaves the first alone', async () => {
      const made = await store().create('Dataset', dataset('a'));
      await expect(store().create('Dataset', { ...dataset('a'), spec: {} })).rejects.toMatchObject({ code: 'CONFLICT' });
      expect(await store().get('Dataset', 'a')).toEqual(made);
      expect(announced()).toHaveLength(1);
    });

    it('lists by code point, page by page', async () => {
      for (const name of ['b', 'a', 'a.b', 'a-b', 'c9', 'c10']) await store().create('Dataset', dataset(name));
      const first = await store().list('Dataset', { limit: 4 });
      const second = await store().list('Dataset', { limit: 4, after: first.next ?? '' });
      const names = [...first.items, ...second.items].map((item) => item.metadata.name);
      expect(names).toEqual(['a', 'a-b', 'a.b', 'b', 'c10', 'c9']);
      expect(first.next).toBe('b');
      expect(second.next).toBeNull();
    });

    it('filters by every label given, with any legal key', async () => {
      await store().create('Dataset', dataset('a', { 'example.com/site.a': 'x', tier: 'edge' }));
      await store().create('Dataset', dataset('b', { 'example.com/site.a': 'x' }));
      const { items } = await store().list('Dataset', { labels: { 'example.com/site.a': 'x', tier: 'edge' } });
      expect(items.map((item) => item.metadata.name)).toEqual(['a']);
    });

    it('grows generation with the spec and resourceVersion with every write', async () => {
      const made = await store().create('Dataset', dataset('a'));
      const relabelled = await store().update('Dataset', 'a', (now) => ({ ...dataset('a'), spec: now.spec, labels: { tier: 'edge' } }));
      const edited = await store().update('Dataset', 'a', () => ({ ...dataset('a'), spec: { description: 'second' } }));
      expect(relabelled?.metadata).toMatchObject({ generation: 1, resourceVersion: 2, uid: made.metadata.uid });
      expect(edited?.metadata).toMatchObject({ generation: 2, resourceVersion: 3, createdAt: made.metadata.createdAt });
    });

    it('takes a spec in another order for no edit', async () => {
      const spec = { description: '', selector: 'a=b' };
      await store().create('DeviceGroup', { ...dataset('a'), spec, status: {} });
      const again = await store().update('DeviceGroup', 'a', (now) => ({ ...dataset('a', { tier: 'edge' }), spec: now.spec, status: {} }));
      expect(again?.metadata).toMatchObject({ generation: 1, resourceVersion: 2 });
    });

    it('writes and announces nothing when nothing changes', async () => {
      const made = await store().create('Dataset', dataset('a'));
      expect(await store().update('Dataset', 'a', () => undefined)).toEqual(made);
      expect(await store().update('Dataset', 'a', () => dataset('a'))).toEqual(made);
      expect(await store().update('Dataset', 'none', () => dataset('none'))).toBeUndefined();
      expect(announced()).toHaveLength(1);
    });

    it('loses no update when many run at once', async () => {
      await store().create('Dataset', dataset('a'));
      await Promise.all(
        Array.from({ length: 25 }, (_, index) =>
          store().update('Dataset', 'a', ({ spec, status }) => ({
            ...dataset('a'),
            spec,
            status: { ...status, versions: [...status.versions, index + 1] },
          })),
        ),
      );
      const after = await store().get('Dataset', 'a');
      expect(after?.status.versions.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 25 }, (_, index) => index + 1));
      expect(after?.metadata.resourceVersion).toBe(26);
    });

    it('keeps things as they were when the change throws', async () => {
      const made = await store().create('Dataset', dataset('a'));
      const failing = store().update('Dataset', 'a', () => {
        throw new RangeError('no');
      });
      await expect(failing).rejects.toThrow(RangeError);
      expect(await store().get('Dataset', 'a')).toEqual(made);
      expect(await store().create('Dataset', dataset('b'))).toBeDefined();
    });

    it('does not take for stored what was undone with others', async () => {
      await store().create('Dataset', dataset('a'));
      let calls = 0;
      const written = store().update('Dataset', 'a', () => dataset('a', { call: String(++calls) }));
      const seen: (string | undefined)[] = [];
      const failing = store().update('Dataset', 'a', ({ metadata }) => {
        seen.push(metadata.labels.call);
        throw new RangeError('no');
      });
      await expect(failing).rejects.toThrow(RangeError);
      expect((await written)?.metadata).toMatchObject({ labels: { call: String(calls) }, resourceVersion: 2 });
      expect(seen.at(-1)).toBe(String(calls));
      expect(await store().get('Dataset', 'a')).toEqual(await written);
      expect(announced()).toHaveLength(2);
    });

    it('deletes once and announces what went', async () => {
      const made = await store().create('Dataset', dataset('a'));
      expect(await store().delete('Dataset', 'a')).toBe(true);
      expect(await store().delete('Dataset', 'a')).toBe(false);
      expect(announced().at(-1)).toEqual({ action: 'deleted', resource: made });
    });

    it('announces each write after it can be read', async () => {
      const made = await store().create('Dataset', dataset('a'));
      const edited = await store().update('Dataset', 'a', () => ({ ...dataset('a'), spec: {} }));
      expect(announced()).toEqual([
        { action: 'written', resource: made },
        { action: 'written', resource: edited },
      ]);
    });
  });
}
