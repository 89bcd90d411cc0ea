import { defineConfig } from 'vite';

export default defineConfig({
  // Relative addresses, so that the built page works from any folder of any server.
  base: './',
  build: { target: 'es2022', assetsInlineLimit: 0, chunkSizeWarningLimit: 800 },
  worker: { format: 'es' },
  optimizeDeps: { exclude: ['sansq'] },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
});
