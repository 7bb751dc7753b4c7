import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../../conformance/harness/suite.ts';
import type { Budget } from '../harness/measure.ts';
import { runGroup } from '../harness/measure.ts';
import { groupText } from '../harness/table.ts';
import { stepGroup } from '../suites/families.ts';
import { SUITES } from '../suites/index.ts';
import { maskCostGroup } from '../suites/engines.ts';
import { closeTorch, torchPeer } from './torch.ts';
import { FUSED_RULES, bytesMoved, denseNet121, gradientValues, planner, resNet34, single, split } from './workload.ts';

const test = suite('bench/lanes');
const QUICK: Budget = { groupMs: 20, turnMs: 1, minRounds: 2, maxRounds: 2, slowMs: 60_000 };
test.after(() => closeTorch());

const torch = await torchPeer().then(
  () => '',
  (error: Error) => error.message,
);

test('the tensor lists of the networks have the published numbers of parameters', () => {
  const resnet = resNet34();
  assert.is(resnet.elements, 21_282_122);
  assert.is(resnet.sizes.length, 110);
  const densenet = denseNet121();
  assert.is(densenet.elements, 6_956_298);
  assert.is(densenet.sizes.length, 362);
  assert.is(split(1000, 10).elements, 1000);
});

test('a step of Adam moves 28 bytes a parameter, of SGD with momentum 20', () => {
  assert.is(bytesMoved('adam', 1000), 28_000);
  assert.is(bytesMoved('sgdm', 1000), 20_000);
});

test('gradients are small, finite and never zero; plans go on step by step', () => {
  const values = gradientValues(10_000);
  assert.ok(values.every((value) => value !== 0 && Math.abs(value) <= 0.02));
  const plan = planner('adam', single(10), 0.5);
  assert.equal([plan().step, plan().step], [1, 2]);
});

test('names are unique: groups within a suite, lanes within a group', async () => {
  for (const entry of SUITES) {
    for (const full of [false, true]) {
      const list = await entry.groups({ full });
      assert.is(new Set(list.map((group) => group.name)).size, list.length, entry.name);
      for (const { lanes, name: group, pairs } of list) {
        const names = lanes.map((lane) => lane.name);
        assert.is(new Set(names).size, names.length, group);
        for (const { lane, over } of pairs) assert.ok(names.includes(lane) && names.includes(over), `${lane}, ${over}`);
      }
    }
  }
});

for (const family of ['js', 'wasm'] as const) {
  test(`every lane of a step runs, ${family}`, async () => {
    for (const rule of ['adam', 'sgdm'] as const) {
      const group = stepGroup(family, { rule, workload: split(1000, 3), keepProbability: 0.5 });
      const result = await runGroup(group, QUICK);
      const missing = result.skipped.filter(({ name }) => !name.startsWith('PyTorch'));
      assert.equal(missing, []);
      assert.ok(result.lanes.every(({ ms }) => ms.median > 0));
    }
  });
}

test('the mask has a cost, and it is a difference of the lanes', async () => {
  const result = await runGroup(maskCostGroup('js', single(4096)), QUICK);
  assert.is(result.figures[0]?.unit, 'ns an element');
  assert.ok(Number.isFinite(result.figures[0]?.value.median));
});

test.when(torch === '', torch)(
  'PyTorch steps every rule, with and without a mask, and names what it does not know',
  async () => {
    const peer = await torchPeer();
    for (const rule of FUSED_RULES) {
      for (const keep of [1, 0.5]) {
        await peer.ask({ op: 'open', id: 't', rule, keep, shapes: [[3, 4], [5]] });
        const { ms } = await peer.ask({ op: 'step', id: 't', steps: 7 });
        assert.ok((ms as number) > 0);
        await peer.ask({ op: 'close', id: 't' });
      }
    }
    let message = '';
    await peer.ask({ op: 'nothing' }).catch((error: Error) => ({ message } = error));
    assert.match(message, /op must be open, step/);
  },
);

test.when(torch === '', torch)('PyTorch trains each network of the epochs, with and without a mask', async () => {
  const peer = await torchPeer();
  for (const [net, keep] of [
    ['fcnet', 1],
    ['fcnet', 0.5],
    ['resnet34', 0.5],
    ['densenet121', 1],
  ] as const) {
    const { ms, loss } = await peer.ask({ op: 'train', net, rule: 'adam', keep, batch: 2, steps: 1 });
    assert.ok((ms as number) > 0);
    // Ten classes guessed at random: ln 10, give or take what two images do.
    assert.ok((loss as number) > 0.5 && (loss as number) < 6, `${net}: ${String(loss)}`);
  }
});

test.when(torch === '', torch)('PyTorch trains on one thread, its backward pass too', async () => {
  const peer = await torchPeer();
  const share = async (): Promise<number> => {
    const { ms, processor } = await peer.ask({
      op: 'train',
      net: 'fcnet',
      rule: 'sgdm',
      keep: 1,
      batch: 128,
      steps: 10,
    });
    return (processor as number) / (ms as number);
  };
  await share();
  // On a second thread the processor's time would be half as much again in all of them.
  const shares = [await share(), await share(), await share()];
  assert.ok(Math.min(...shares) < 1.3, `processor time over the clock's: ${shares.join(', ')}`);
});

test.when(torch === '', torch)('PyTorch without a GPU leaves the lanes on CUDA out, and says why', async () => {
  const { description } = await torchPeer();
  const opened = torchPeer('cuda').then(
    () => '',
    (error: Error) => `${error.name}: ${error.message}`,
  );
  assert.is(await opened, description['cuda'] === null ? 'Unavailable: PyTorch has no CUDA device here' : '');
});

test('a PyTorch whose products are those of a reference BLAS is no peer, and is refused with what to do', async () => {
  await closeTorch();
  const folder = mkdtempSync(join(tmpdir(), 'lrd-torch-'));
  const program = join(folder, 'python');
  writeFileSync(program, '#!/bin/sh\necho \'{"torch": "1.13.0", "gflops": 1.42, "cuda": null}\'\nread line\n', {
    mode: 0o755,
  });
  const named = process.env['LRD_PYTHON'];
  process.env['LRD_PYTHON'] = program;
  try {
    const refused = await torchPeer().then(
      () => 'taken',
      (error: Error) => `${error.name}: ${error.message}`,
    );
    assert.match(refused, /^Unavailable: PyTorch 1\.13\.0 multiplies matrices at 1\.4 GFLOP\/s .*libopenblas0-pthread/);
  } finally {
    if (named === undefined) delete process.env['LRD_PYTHON'];
    else process.env['LRD_PYTHON'] = named;
    await closeTorch();
    rmSync(folder, { recursive: true });
  }
});

test('a lane says what its threads had on a processor, and a ratio goes by both clocks', async () => {
  const result = await runGroup(
    stepGroup('js', { rule: 'sgdm', workload: single(100_000), keepProbability: 0.5 }),
    QUICK,
  );
  for (const { processorMs, ms } of result.lanes) {
    // Of one thread: a collection of garbage beside it is the most that comes on top.
    assert.ok(processorMs !== undefined && processorMs.median > 0 && ms.median > 0);
  }
  assert.ok(result.ratios.every(({ processor }) => processor !== undefined && processor.median > 0));
  assert.match(groupText(result), /on a processor[\s\S]*behind \/: by processor time/);
});

test('a group of which no lane runs says why once', () => {
  const reason = 'for hardware: the adapter here is software';
  const skipped = ['a', 'b'].map((name) => ({ name, reason }));
  const base = { name: 'group', lanes: [], ratios: [], figures: [], noise: 0 };
  assert.is(groupText({ ...base, skipped }), `group\n  left out: ${reason}\n`);
  const two = [...skipped, { name: 'c', reason: 'slow' }];
  assert.match(
    groupText({ ...base, skipped: two }),
    /left out: a: for hardware.*\n {2}left out: b: .*\n {2}left out: c: slow/,
  );
});

test('the programs of the peer are where they are looked for', () => {
  for (const program of ['torch_peer.py', 'torch_nets.py']) {
    assert.ok(existsSync(new URL(`../peers/${program}`, import.meta.url)), program);
  }
});

test.run();
