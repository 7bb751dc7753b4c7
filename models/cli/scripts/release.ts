/**
 * Builds both packages, packs them into `build/release`, and checks the archives as a registry's users will meet them, with publint and
 * are-the-types-wrong. Publishes nothing.
 *
 *     npm run release
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** They check what is packed and nothing else: a checkout does without them. */
const CHECKERS = ['publint@0.3.25', '@arethetypeswrong/cli@0.18.5'];
const root = fileURLToPath(new URL('../../..', import.meta.url));
const target = join(root, 'build', 'release');

/** Runs a command to its end; one that fails ends the release. */
function run(command: string, args: readonly string[], cwd = root): void {
  console.log(`\n> ${[command, ...args].join(' ')}`);
  const { status, error } = spawnSync(command, args, { cwd, stdio: 'inherit', shell: process.platform === 'win32' });
  if (status === 0) return;
  console.error(`lrd release: ${command} ${args[0]} failed${error === undefined ? '' : `: ${error.message}`}`);
  process.exit(1);
}

const scratch = mkdtempSync(join(tmpdir(), 'lrd-release-'));
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
run('npm', ['run', '-s', 'build']);
for (const of of [[], ['-w', 'learning-rate-dropout-cli']]) {
  run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', target, ...of]);
}
run('npm', ['install', '--silent', '--no-save', '--ignore-scripts', '--prefix', scratch, ...CHECKERS]);
for (const archive of readdirSync(target).sort()) {
  const path = join(target, archive);
  run(process.execPath, [join(scratch, 'node_modules/publint/src/cli.js'), 'run', path, '--strict']);
  // ESM alone: that CommonJS cannot require it is meant, as is that old resolution finds no subpath.
  run(process.execPath, [
    join(scratch, 'node_modules/@arethetypeswrong/cli/dist/index.js'),
    path,
    '--profile',
    'esm-only',
    // What moved away does nothing but name its new place: there is nothing to type.
    ...(archive.startsWith('learning-rate-dropout-cli-') ? [] : ['--exclude-entrypoints', 'conformance', 'models']),
  ]);
}
console.log(
  `\n${readdirSync(target)
    .map((archive) => join('build', 'release', archive))
    .join('\n')}`,
);
