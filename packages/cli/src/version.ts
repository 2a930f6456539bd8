import packageJson from '../package.json' with { type: 'json' };

/** Version of this command line. */
export const VERSION: string = packageJson.version;
