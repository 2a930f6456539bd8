import { type ReactNode, useState } from 'react';
import { Button } from './button.tsx';
import { classNames } from './class-names.ts';
import { Icon } from './icon.tsx';
import { ScrollRegion } from './scroll-region.tsx';
import { nextOrder, type Order, type SortValue, sortRows } from './table-order.ts';

export interface Column<T> {
  readonly id: string;
  readonly head: string;
  readonly cell: (row: T) => ReactNode;
  /** Makes the column sortable. */
  readonly sort?: (row: T) => SortValue;
  /** Direction of the first press; default ascending. */
  readonly first?: Order['direction'];
  readonly align?: 'right';
  /** Left out below this width of the window. */
  readonly from?: 'sm' | 'md' | 'lg' | 'xl' | '2xl';
  readonly className?: string;
}

export interface TableProps<T> {
  caption: string;
  columns: readonly Column<T>[];
  rows: readonly T[];
  keyOf: (row: T) => string;
  order?: Order;
  /** Rows at once; default 50. */
  pageSize?: number;
}

const FROM = { sm: 'max-sm:hidden', md: 'max-md:hidden', lg: 'max-lg:hidden', xl: 'max-xl:hidden', '2xl': 'max-2xl:hidden' } as const;

/** A table whose heads sort (buttons, `aria-sort`). Row links are real links in the cells, so the keyboard finds them. */
export function Table<T>({ caption, columns, rows, keyOf, order: firstOrder, pageSize = 50 }: TableProps<T>): ReactNode {
  const [order, setOrder] = useState(firstOrder);
  const [page, setPage] = useState(0);
  const sortBy = columns.find((column) => column.id === order?.column)?.sort;
  const sorted = sortBy === undefined || order === undefined ? rows : sortRows(rows, sortBy, order.direction);
  const pages = Math.max(1, Math.ceil(sorted.length / pageSize));
  const shownPage = Math.min(page, pages - 1);
  const shown = sorted.slice(shownPage * pageSize, (shownPage + 1) * pageSize);
  return (
    <>
      <ScrollRegion label={caption} className="relative overflow-x-auto rounded-lg">
        <table className="w-full border-collapse text-left text-sm">
          <caption className="sr-only">{caption}</caption>
          <thead>
            <tr className="border-b border-line text-xs text-ink-3">
              {columns.map((column) => (
                <HeadCell key={column.id} column={column} order={order} onSort={(next) => setOrder(next)} />
              ))}
            </tr>
          </thead>
          <tbody className="divide-y divide-line">
            {shown.map((row) => (
              <tr key={keyOf(row)} className="transition-colors hover:bg-sunken/60">
                {columns.map((column) => (
                  <td key={column.id} className={cellClasses(column)}>
                    {column.cell(row)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </ScrollRegion>
      {pages > 1 && <Pager page={shownPage} pages={pages} total={sorted.length} pageSize={pageSize} onPage={setPage} />}
    </>
  );
}

function cellClasses<T>(column: Column<T>): string {
  return classNames(
    'h-10 px-3 py-1.5 whitespace-nowrap first:pl-4 last:pr-4',
    column.align === 'right' && 'text-right tabular-nums',
    column.from && FROM[column.from],
    column.className,
  );
}

function HeadCell<T>({
  column,
  order,
  onSort,
}: {
  column: Column<T>;
  order: Order | undefined;
  onSort: (order: Order) => void;
}): ReactNode {
  const active = order?.column === column.id ? order.direction : undefined;
  const classes = classNames(
    'h-9 px-3 font-medium whitespace-nowrap first:pl-4 last:pr-4',
    column.align === 'right' && 'text-right',
    column.from && FROM[column.from],
  );
  if (column.sort === undefined) {
    return (
      <th scope="col" className={classes}>
        {column.head}
      </th>
    );
  }
  return (
    <th scope="col" aria-sort={active ?? 'none'} className={classes}>
      <button
        type="button"
        className={classNames('-mx-1 inline-flex items-center gap-1 rounded px-1 hover:text-ink', active !== undefined && 'text-ink')}
        onClick={() => onSort(nextOrder(order, column.id, column.first ?? 'ascending'))}
      >
        {column.head}
        <Icon name={active === undefined ? 'sort' : active === 'ascending' ? 'up' : 'down'} size={12} />
      </button>
    </th>
  );
}

function Pager({
  page,
  pages,
  total,
  pageSize,
  onPage,
}: {
  page: number;
  pages: number;
  total: number;
  pageSize: number;
  onPage: (page: number) => void;
}): ReactNode {
  return (
    <nav
      aria-label="Pages of the table"
      className="flex items-center justify-between gap-2 border-t border-line px-4 py-2 text-xs text-ink-2"
    >
      <span className="tabular-nums" aria-live="polite">
        {page * pageSize + 1}–{Math.min(total, (page + 1) * pageSize)} of {total.toLocaleString('en')}
      </span>
      <span className="flex gap-1">
        <Button size="sm" icon="left" disabled={page === 0} onClick={() => onPage(page - 1)}>
          Previous
        </Button>
        <Button size="sm" icon="right" disabled={page === pages - 1} onClick={() => onPage(page + 1)}>
          Next
        </Button>
      </span>
    </nav>
  );
}
