/**
 * What the executable of a native package needs to know of the emulator that it runs in: a package with a loader of its own
 * starts that loader by the emulator again.
 *
 * @param emulator - path or name of the program; undefined: none.
 */
export function emulatorEnv(emulator: string | undefined): Record<string, string> {
  return emulator === undefined ? {} : { SELVEDGE_EMULATOR: emulator };
}
