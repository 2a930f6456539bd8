/** What a command was asked to require does not hold: an answer, not an error, and it has been printed. As with diff and grep, 1. */
export class RequirementNotMet extends Error {
  readonly exitCode = 1;

  constructor() {
    super('What was required does not hold.');
    this.name = 'RequirementNotMet';
  }
}
