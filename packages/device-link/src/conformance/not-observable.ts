/** Nothing can be seen of a rule; the message says why. */
export class NotObservable extends Error {}
