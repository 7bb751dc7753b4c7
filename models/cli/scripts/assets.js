/** Puts what the built program reads beside its modules, in the places that the sources have them in. */
import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const dist = join(root, 'models', 'dist');

for (const folder of ['bench/peers', 'conformance/examples/python', 'conformance/examples/js']) {
  for (const file of readdirSync(join(root, folder)).filter((name) => /\.(py|mjs)$/.test(name))) {
    mkdirSync(join(dist, folder), { recursive: true });
    copyFileSync(join(root, folder, file), join(dist, folder, file));
  }
}
copyFileSync(join(root, 'conformance', 'GUIDE.md'), join(dist, 'conformance', 'GUIDE.md'));
for (const file of ['LICENSE', 'CITATION.cff']) copyFileSync(join(root, file), join(dirname(dist), file));

// The script of the pages, whole: the built program bundles nothing.
const { pageScript } = await import('../../dist/models/report/script.js');
const target = join(dist, 'models/report/pageScript.txt');
rmSync(target, { force: true });
writeFileSync(target, pageScript());
