import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

// Where `npm run dev` finds a running program: its answers and its stream come through here.
const program = process.env.DUTO_ADDRESS ?? 'http://127.0.0.1:8082';

export default defineConfig({
  plugins: [svelte()],
  // The program serves `index.html` at `/`, the topic browser `topics.html`; each page has its other files under this path.
  base: '/duto/assets/',
  build: {
    target: 'es2022',
    // Browsers that know light-dark(), by which the two themes are one set of tokens.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    assetsDir: '',
    // The policy of the page allows no data: URL in styles or scripts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      // Plain names: the program answers each file with an ETag, and the same sources give the same files.
      input: { page: 'index.html', topics: 'topics.html', overview: 'overview.html', audit: 'audit.html' },
      output: { entryFileNames: '[name].js', chunkFileNames: '[name].js', assetFileNames: '[name][extname]' },
    },
  },
  server: { proxy: { '/api': program, '/duto/topics': program, '/duto/overview': program, '/duto/audit/entries': program, '/duto/session': program, '/duto/live': program, '/duto/dashboard.json': program, '/livez': program, '/openapi.json': program } },
  test: { include: ['src/**/*.test.ts'], environment: 'node', css: true },
});
