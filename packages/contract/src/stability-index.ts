/** Least share that a bin is taken to have: a bin that is empty on one side would make the index infinite. */
const PSI_EPSILON = 1e-4;

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

/**
 * Population-stability index of two counts over the same bins: 0 when they are spread alike; above 0.25 is usually called a shift.
 *
 * @returns null when one has no counts.
 */
export function stabilityIndex(expected: readonly number[], actual: readonly number[]): number | null {
  const [allExpected, allActual] = [total(expected), total(actual)];
  if (allExpected === 0 || allActual === 0) return null;
  return total(
    expected.map((value, index) => {
      const before = Math.max(value / allExpected, PSI_EPSILON);
      const now = Math.max((actual[index] ?? 0) / allActual, PSI_EPSILON);
      return (now - before) * Math.log(now / before);
    }),
  );
}
