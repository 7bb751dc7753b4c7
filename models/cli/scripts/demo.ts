/**
 * Builds the demo and the conformance page into `build/demo` and opens the demo, where there is a display.
 *
 *     npm run demo [-- --no-open]
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { buildPages } from './pages.ts';

/** The command that opens a file as a double click would; undefined without a display. */
function opener(): string | undefined {
  if (process.platform === 'darwin') return 'open';
  if (process.platform === 'win32') return 'explorer';
  return (process.env['DISPLAY'] ?? process.env['WAYLAND_DISPLAY'] ?? '') === '' ? undefined : 'xdg-open';
}

const path = await buildPages(fileURLToPath(new URL('../../../build/demo', import.meta.url)));
console.log(`${path}\nopens in a browser as it is; no server is needed`);
const command = process.argv.includes('--no-open') ? undefined : opener();
if (command !== undefined) {
  const child = spawn(command, [path], { stdio: 'ignore', detached: true });
  child.on('error', () => console.log(`${command} is not here: open the file by hand`));
  child.unref();
}
