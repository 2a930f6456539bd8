/** What a device runs packages for, and the program that runs them when it is not this machine's processor. */
export interface DevicePlatform {
  target: string;
  emulator: string | undefined;
}
