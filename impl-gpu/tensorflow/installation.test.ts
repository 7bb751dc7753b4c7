import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import { ADDON, MANIFEST, installationFolder, readInstallation, thisPlatform } from './installation.ts';
import { loadTensorflow, tensorflowMissing } from './load.ts';
import { restoreUtil } from './restoreUtil.ts';

const test = suite('impl-gpu/tensorflow');
const folder = mkdtempSync(join(tmpdir(), 'lrd-tensorflow-'));
test.after(() => rmSync(folder, { recursive: true, force: true }));

test('what Node 23 took from util is put back, and what is there stays', () => {
  const stays = (): boolean => true;
  const util: Record<string, unknown> = { isArray: stays };
  restoreUtil(util);
  assert.is(util['isArray'], stays);
  const isNullOrUndefined = util['isNullOrUndefined'] as (value: unknown) => boolean;
  assert.equal([null, undefined, 0, ''].map(isNullOrUndefined), [true, true, false, false]);
  delete util['isArray'];
  restoreUtil(util);
  assert.is((util['isArray'] as (value: unknown) => boolean)([]), true);
});

test('a folder is whole and of this platform, or there is a reason', () => {
  const place = join(folder, 'place');
  const manifest = { tensorflow: '2.21.0', tfjsNode: '4.22.0', wheel: 'w.whl', platform: thisPlatform() };
  assert.match(readInstallation(place) as string, /nothing was set up in/);
  mkdirSync(place);
  writeFileSync(join(place, MANIFEST), '{');
  assert.match(readInstallation(place) as string, /manifest.json is not JSON/);
  writeFileSync(join(place, MANIFEST), JSON.stringify(manifest));
  assert.match(readInstallation(place) as string, /tfjs_binding.node is missing/);
  writeFileSync(join(place, ADDON), '');
  assert.equal(readInstallation(place), manifest);
  writeFileSync(join(place, MANIFEST), JSON.stringify({ ...manifest, platform: 'sunos-sparc' }));
  assert.match(readInstallation(place) as string, /is for sunos-sparc, this is /);
});

test('without it, the message is one line that says what was tried and how to get it', () => {
  const before = process.env['LRD_TENSORFLOW'];
  process.env['LRD_TENSORFLOW'] = join(folder, 'none');
  try {
    assert.is(installationFolder('node-gpu'), join(folder, 'none'));
    const missing = tensorflowMissing('node-gpu');
    assert.match(missing ?? '', /nothing was set up in .*; @tensorflow\/tfjs-node-gpu is not installed/);
    assert.throws(
      () => loadTensorflow('node-gpu'),
      (error: Error) =>
        error.name === 'UnsupportedError' &&
        !error.message.includes('\n') &&
        error.message.includes('npx lrd setup tensorflow --gpu'),
    );
  } finally {
    if (before === undefined) delete process.env['LRD_TENSORFLOW'];
    else process.env['LRD_TENSORFLOW'] = before;
  }
});

test.run();
