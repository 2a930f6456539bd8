export interface Order {
  readonly column: string;
  readonly direction: 'ascending' | 'descending';
}

export type SortValue = string | number | null;

/** Sorted copy; what has no value comes last in either direction, equals keep their order. */
export function sortRows<T>(rows: readonly T[], readValue: (row: T) => SortValue, direction: Order['direction']): T[] {
  const sign = direction === 'ascending' ? 1 : -1;
  return rows.toSorted((a, b) => {
    const left = readValue(a);
    const right = readValue(b);
    if (left === null || right === null) return left === right ? 0 : left === null ? 1 : -1;
    if (typeof left === 'number' && typeof right === 'number') return sign * (left - right);
    return sign * String(left).localeCompare(String(right), 'en', { numeric: true });
  });
}

/** What a press on a column's head asks for: first its natural direction, then the other. */
export function nextOrder(order: Order | undefined, column: string, first: Order['direction']): Order {
  if (order?.column !== column) return { column, direction: first };
  return { column, direction: order.direction === 'ascending' ? 'descending' : 'ascending' };
}
