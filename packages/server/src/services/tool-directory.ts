/** Where the tools listen now. Filled by the module supervisor, read by the tool client and the gateway. */
export class ToolDirectory {
  readonly #addresses = new Map<string, string>();

  readonly addressOf = (tool: string): string | undefined => this.#addresses.get(tool);

  set(tool: string, url: string): void {
    this.#addresses.set(tool, url);
  }

  remove(tool: string): void {
    this.#addresses.delete(tool);
  }
}
