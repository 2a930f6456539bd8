/** A program that a command ran in the foreground ended with a code of its own; it has said why itself. */
export class ChildEnded extends Error {
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`The program ended with exit code ${exitCode}.`);
    this.name = 'ChildEnded';
    this.exitCode = exitCode;
  }
}
