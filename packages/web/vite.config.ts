import tailwindcss from '@tailwindcss/vite';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** Where the development server sends API calls: a server started with `selvedge up`, or the fixture server. */
const apiUrl = process.env.SELVEDGE_URL ?? 'http://127.0.0.1:7070';

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), tailwindcss()],
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    // Inlined data: URLs would need a wider Content-Security-Policy; every asset stays a file of this origin.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    // A chunk of schemas is run before the page's own: the setting of zod goes with zod, so that no schema is made without it.
    rolldownOptions: { output: { codeSplitting: { groups: [{ name: 'zod', test: /[\\/]zod[\\/]|no-eval\.ts$/ }] } } },
  },
  server: { proxy: { '/api': apiUrl, '/health': apiUrl } },
});
