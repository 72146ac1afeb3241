// After `vite build`: vendors Swagger UI into dist/docs, compresses every file that gains by it, and holds the pages to their size.

import { copyFileSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { constants, gzipSync } from 'node:zlib';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const dist = join(root, 'dist');
const docs = join(dist, 'docs');
/** All pages together; a reader of one of them gets less. */
const MOST_PAGES_BYTES = 150 * 1024;

mkdirSync(docs, { recursive: true });
for (const name of readdirSync(join(root, 'docs'))) copyFileSync(join(root, 'docs', name), join(docs, name));
const swagger = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
for (const name of ['swagger-ui.css', 'swagger-ui-bundle.js']) {
  // Without the maps, which are not served, their addresses would only be misses.
  const text = readFileSync(join(swagger, name), 'utf8').replace(/\n?(\/\/|\/\*)# sourceMappingURL=\S+( \*\/)?\s*$/, '\n');
  writeFileSync(join(docs, name), text);
}
for (const name of ['LICENSE', 'NOTICE']) copyFileSync(join(swagger, name), join(docs, `${name}.txt`));

// What the bundle holds of others, under their terms.
const licences = [['svelte', 'LICENSE.md'], ['uplot', 'LICENSE']].map(([name, file]) => `${name}\n\n${readFileSync(join(root, 'node_modules', name, file), 'utf8')}`);
writeFileSync(join(dist, 'LICENSES.txt'), licences.join('\n\n'));

let pagesBytes = 0;
for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (!entry.isFile() || !/\.(html|js|css|svg|json|txt)$/.test(entry.name)) continue;
  const plain = readFileSync(path);
  const zipped = gzipSync(plain, { level: constants.Z_BEST_COMPRESSION });
  if (zipped.length < plain.length) writeFileSync(`${path}.gz`, zipped);
  const bytes = Math.min(zipped.length, statSync(path).size);
  const name = relative(dist, path);
  if (!name.startsWith('docs') && !name.endsWith('.txt')) pagesBytes += bytes;
  console.log(`${name.padEnd(32)} ${String(plain.length).padStart(8)}  gzip ${String(bytes).padStart(7)}`);
}
console.log(`the pages without their docs: ${pagesBytes} bytes`);
if (pagesBytes > MOST_PAGES_BYTES) {
  console.error(`the pages are to stay below ${MOST_PAGES_BYTES} bytes`);
  process.exit(1);
}
