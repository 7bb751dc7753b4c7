import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as assert from 'uvu/assert';
import { suite } from '../conformance/harness/suite.ts';
import { OPEN_POINTS } from './openPoints.ts';
import { renderSpecification } from './render.ts';
import { REQUIREMENTS } from './requirements.ts';
import { RULES } from './rules.ts';
import { evidence, idsIn, judged, referenceEvidence, root, sourceFiles } from './scripts/evidence.ts';

const test = suite('spec/specification');
const ids = new Set(REQUIREMENTS.map(({ id }) => id));

test('ids are distinct and well formed', () => {
  assert.is(ids.size, REQUIREMENTS.length);
  for (const id of ids) assert.match(id, /^LRD-[A-Z]+-\d{3}$/);
});

test('every MUST has a test, here or in the conformance kit', () => {
  const tests = evidence(() => true);
  const kit = judged();
  const bare = REQUIREMENTS.filter(({ id, level }) => level === 'MUST' && !tests.has(id) && !kit.has(id)).map(
    ({ id }) => id,
  );
  assert.equal(bare, []);
});

test('no file names a requirement that does not exist', () => {
  const unknown = sourceFiles().flatMap((file) =>
    idsIn(file)
      .filter((id) => !ids.has(id))
      .map((id) => `${file}: ${id}`),
  );
  assert.equal(unknown, []);
});

test('every requirement names a reference function that exists', () => {
  for (const { id, reference } of REQUIREMENTS) {
    if (reference === undefined) continue;
    const [file, name] = reference.split('#') as [string, string];
    assert.ok(existsSync(join(root, file)), `${id}: ${file}`);
    const exported = new RegExp(`export (?:async )?(?:function|const) ${name}\\b`);
    assert.match(readFileSync(join(root, file), 'utf8'), exported, `${id}: ${reference}`);
  }
});

test('all ten equations and lines 2 to 12 of Algorithm 1 are stated', () => {
  const stated = REQUIREMENTS.map(({ equation }) => equation ?? '').join('; ');
  for (let n = 1; n <= 10; n++) assert.ok(stated.includes(`(${n})`), `equation (${n})`);
  for (const line of [2, 3, 5, 6, 8, 10, 11, 12]) assert.ok(new RegExp(`line ${line}\\b`).test(stated), `line ${line}`);
});

test('all 23 open points are decided by requirements that exist and say what was decided', () => {
  assert.is(OPEN_POINTS.length, 23);
  for (const { text, requirements } of OPEN_POINTS) {
    const deciding = requirements.map((id) => REQUIREMENTS.find((r) => r.id === id));
    assert.ok(
      deciding.every((r) => r !== undefined),
      text,
    );
    assert.ok(
      deciding.some((r) => r?.decision !== undefined),
      `nothing says what was decided: ${text}`,
    );
  }
});

test('every default satisfies its own range', () => {
  for (const rule of Object.values(RULES)) {
    for (const parameter of Object.values(rule.hyper)) {
      if (parameter.kind === 'choice') assert.ok(parameter.values.includes(parameter.default));
      if (parameter.kind === 'number')
        assert.ok(parameter.default >= parameter.minimum && parameter.default <= parameter.maximum);
    }
  }
});

test('the rendered specification is what the registry says: npm run ts -- spec/scripts/writeSpecification.ts', () => {
  assert.is(readFileSync(join(root, 'spec/SPECIFICATION.md'), 'utf8'), renderSpecification(referenceEvidence()));
});

test.run();
