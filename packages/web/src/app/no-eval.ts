import { config } from 'zod';

// zod would try whether it may compile schemas with `new Function`, which the Content-Security-Policy reports as a
// violation. This must run before any schema is made, so it is the first
// import of main.tsx, and vite.config.ts keeps it in one chunk with zod.
config({ jitless: true });
