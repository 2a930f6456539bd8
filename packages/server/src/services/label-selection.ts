import { AppError, type Kind, type LabelRequirement, matchesSelector, parseLabelSelector } from '@selvedge/contract';
import type { ResourceOf, ResourceStore } from '../ports/store.ts';

/** What a label selector selects, with the groups that it names. */
export interface LabelSelection {
  /** Labels that must have this value: what a store can look for by itself. */
  readonly equals: Record<string, string>;
  matches(labels: Readonly<Record<string, string>>): boolean;
}

const MAX_PAGE = 1000;

/**
 * Reads a label selector, and the groups that it names as they are now.
 *
 * @throws AppError INPUT_INVALID (user) when it is not valid; NOT_FOUND (user) when there is no such group.
 */
export async function readSelection(store: ResourceStore, text: string): Promise<LabelSelection> {
  const requirements = parseLabelSelector(text);
  const groups = new Map<string, LabelRequirement[]>();
  for (const requirement of requirements) {
    if (requirement.op !== 'group') continue;
    const group = await store.get('DeviceGroup', requirement.name);
    if (group === undefined) {
      const hint = '"selvedge group list" shows all groups.';
      throw new AppError('NOT_FOUND', { message: `There is no device group "${requirement.name}".`, hint });
    }
    groups.set(requirement.name, parseLabelSelector(group.spec.selector));
  }
  const equals: Record<string, string> = {};
  for (const requirement of [...requirements, ...[...groups.values()].flat()]) {
    if (requirement.op !== 'in') continue;
    const [value, ...others] = requirement.values;
    if (value !== undefined && others.length === 0) equals[requirement.key] = value;
  }
  return { equals, matches: (labels) => matchesSelector(requirements, labels, groups) };
}

/** A page of the resources that are selected; what the store cannot look for is filtered here. */
export async function listSelected<K extends Kind>(
  store: ResourceStore,
  kind: K,
  { equals, matches }: LabelSelection,
  { limit = MAX_PAGE, after }: { limit?: number; after?: string },
): Promise<{ items: ResourceOf<K>[]; next: string | null }> {
  const items: ResourceOf<K>[] = [];
  let from = after;
  for (;;) {
    const page: { items: ResourceOf<K>[]; next: string | null } = await store.list(kind, {
      labels: equals,
      limit: MAX_PAGE,
      ...(from === undefined ? {} : { after: from }),
    });
    for (const [index, item] of page.items.entries()) {
      if (!matches(item.metadata.labels)) continue;
      items.push(item);
      const isLast = index === page.items.length - 1 && page.next === null;
      if (items.length === limit) return { items, next: isLast ? null : item.metadata.name };
    }
    if (page.next === null) return { items, next: null };
    from = page.next;
  }
}
