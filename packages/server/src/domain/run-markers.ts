/** Label of runs and dataset versions that still need work: what the controllers list. */
export const ACTIVE_LABEL = 'selvedge.dev/active';
/** Annotation with the time at which a run's cancellation was asked for. */
export const CANCEL_ANNOTATION = 'selvedge.dev/cancel-requested';
/** Annotation with the server's address that is inside the requests made to the tools. */
export const ORIGIN_ANNOTATION = 'selvedge.dev/inputs-origin';
/** Annotation with the highest number ever given to a run or a version, so that no number is used twice. */
export const LAST_NUMBER_ANNOTATION = 'selvedge.dev/last-number';
/** Label of runs that a trigger started: which of its firings. */
export const FIRING_LABEL = 'selvedge.dev/firing';
