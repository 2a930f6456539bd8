import type { Compilable, CompiledQuery } from 'kysely';

/** Stands in a query for a value that each call brings. */
class Placeholder {
  readonly name: PropertyKey;

  constructor(name: PropertyKey) {
    this.name = name;
  }
}

/**
 * A query whose text is made once. Kysely builds and compiles a query anew for each call, which takes longer than SQLite needs to answer
 * a short one.
 *
 * @param make - builds the query; each value that it takes becomes a parameter, and must not decide anything.
 * @returns the query for given values, for `executeQuery`.
 */
export function prepareQuery<V extends object, R>(make: (values: V) => Compilable<R>): (values: V) => CompiledQuery<R> {
  let prepared: CompiledQuery<R> | undefined;
  return (values) => {
    prepared ??= make(new Proxy(values, { get: (_values, name) => new Placeholder(name) })).compile();
    const parameters = prepared.parameters.map((value) => (value instanceof Placeholder ? Reflect.get(values, value.name) : value));
    return { ...prepared, parameters };
  };
}
