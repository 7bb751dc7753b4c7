/** Programs that misbehave: none may hang the kit, harm it, outlive it, or put anything into its report that a reader should not meet. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as assert from 'uvu/assert';
import { openAdapter } from '../adapters/open.ts';
import { suite } from '../harness/suite.ts';
import { judgeAdapters } from '../judgeAdapters.ts';
import { reportToHtml } from '../report/html.ts';
import { REPORT_SCHEMA, reportToJson } from '../report/report.ts';
import type { ConformanceReport } from '../report/report.ts';
import { reportToText } from '../report/terminal.ts';

const test = suite('conformance/misbehaviour');
const scratch = mkdtempSync(join(tmpdir(), 'lrd-misbehaviour-'));
test.after(() => rmSync(scratch, { recursive: true, force: true }));

/** Seconds that a case may take here: little where an answer is not to be expected, enough for a busy machine where it is. */
const CASE_SECONDS = 1;
const ENOUGH_SECONDS = 40;

interface Misbehaviour {
  readonly name: string;
  /** Runs once, before anything is read. */
  readonly first?: string;
  /** Answers to `start`; default the greeting. */
  readonly start?: string;
  /** Answers to a case. `right()` is the correct answer, `answer(object)`, `raw(text)` and `line(text)` write. */
  readonly run?: string;
  /** Answers to `stop`; default ends. */
  readonly stop?: string;
  /** What the report must say. */
  readonly says?: RegExp;
  /** Whether everything that was asked holds all the same. Default false. */
  readonly passes?: boolean;
  /** What is judged of it. Default: a rule. */
  readonly only?: readonly string[];
  /** Minutes that the run may take. Default: as many as it wants. */
  readonly minutes?: number;
}

/** Its own masks, and the large sample of them. */
const OWN_MASKS = ['LRD-MASK-001$', 'LRD-EQ-003$', 'LRD-MASK-010$'];
/** Other kinds of mask, state and resuming. */
const VERSION_2 = ['LRD-RULE-001/', 'LRD-FAM-001/', 'LRD-STATE-001/'];

const ESCAPES = '\\u001b[2J\\u001b]0;owned\\u0007\\u202e\\u009b31m';

const MISBEHAVIOURS: readonly Misbehaviour[] = [
  { name: 'follows the protocol', passes: true },
  { name: 'answers with CRLF', run: `line(JSON.stringify(right()) + '\\r')`, passes: true },
  { name: 'writes slowly, byte by byte', run: `dribble(JSON.stringify(right()) + '\\n', 0)`, passes: true },
  { name: 'leaves features out', start: `{ delete hello.implementation.features; answer(hello); }`, passes: true },
  { name: 'floods stderr and is right', first: `flood(process.stderr, 'noise '.repeat(1000) + '\\n')`, passes: true },
  { name: 'writes blank lines between answers', run: `raw('\\n\\n  \\n'); answer(right()); raw('\\n')`, passes: true },
  { name: 'is silent from the start', start: ``, says: /no answer to start/ },
  { name: 'is silent about every case', run: ``, says: /no answer after 1 s/ },
  { name: 'answers start too late', start: `setTimeout(() => answer(hello), 2500)`, says: /no answer to start/ },
  { name: 'answers a case too late', run: `setTimeout(() => answer(right()), 1500)`, says: /no answer after 1 s/ },
  {
    name: 'answers too slowly, byte by byte',
    run: `dribble(JSON.stringify(right()) + '\\n', 200)`,
    says: /no answer after 1 s, and \d+ bytes of an unfinished line/,
  },
  { name: 'ends at once', first: `process.exit(0)`, says: /exit code 0/ },
  {
    name: 'ends with an error',
    first: `console.error('no such module'); process.exit(3)`,
    says: /exit code 3.*no such module/,
  },
  { name: 'crashes in a case', run: `console.error('boom'); process.exit(9)`, says: /exit code 9.*boom/ },
  { name: 'is killed in a case', run: `process.kill(process.pid, 'SIGSEGV')`, says: /signal SIGSEGV/ },
  {
    name: 'ends in the middle of a line',
    run: `process.stdout.write('{"seq":', () => process.exit(0))`,
    says: /middle of a line/,
  },
  {
    name: 'says half a line',
    run: `raw('{"seq":1')`,
    says: /no answer after 1 s, and \d+ bytes of an unfinished line/,
  },
  { name: 'greets in prose', start: `line('Hello, I am a trainer')`, says: /not JSON: Hello/ },
  { name: 'logs on stdout', run: `line('loss 0.3'); answer(right())`, says: /not JSON: loss 0\.3/ },
  { name: 'answers twice', run: `answer(right()); answer(right())`, says: /nothing asked for|seq must be/ },
  { name: 'answers with another seq', run: `answer({ ...right(), seq: 99 })`, says: /seq must be \d+, got 99/ },
  {
    name: 'answers one request behind',
    run: `if (global.last) answer(global.last); else answer(right()); global.last = right()`,
    says: /seq must be/,
  },
  {
    name: 'floods stdout with lines',
    run: `flood(process.stdout, '{}\\n'.repeat(1000))`,
    says: /nothing asked for|must have one of/,
  },
  {
    name: 'floods stdout with one line',
    run: `flood(process.stdout, 'x'.repeat(65536))`,
    says: /longer than \d+ bytes/,
  },
  {
    name: 'floods stdout with blank lines',
    run: `flood(process.stdout, '\\n'.repeat(65536))`,
    says: /no answer after/,
  },
  { name: 'nests a hundred thousand deep', run: `line('['.repeat(1e5) + ']'.repeat(1e5))`, says: /nested deeper than/ },
  {
    name: 'answers with half a million lists',
    run: `line('[' + '[],'.repeat(5e5) + '[]]')`,
    says: /more than 100000 lists/,
  },
  {
    name: 'answers with a hundred thousand fields',
    run: `line('{' + Array.from({ length: 1.4e5 }, (_, i) => '"k' + i + '":1').join() + '}')`,
    says: /more than 100000 lists and fields/,
  },
  {
    name: 'answers with millions of numbers',
    run: `{ const r = right(); r.result.steps[0].parameters[0] = Array(5e6).fill(1); answer(r); }`,
    says: /longer than \d+ bytes|no answer after/,
  },
  {
    name: 'writes a bare NaN',
    run: `line('{"seq":' + request.seq + ',"result":{"steps":[{"parameters":[[NaN]]}]}}')`,
    says: /bare NaN/,
  },
  { name: 'answers with null', run: `line('null')`, says: /must have one of result, skipped, errored/ },
  { name: 'answers with a list', run: `line('[]')`, says: /must have one of result, skipped, errored/ },
  {
    name: 'answers with nothing in it',
    run: `answer({ seq: request.seq })`,
    says: /must have one of result, skipped, errored/,
  },
  {
    name: 'answers in two ways at once',
    run: `answer({ ...right(), skipped: { reason: 'x' } })`,
    says: /must have only the fields seq, result; got "skipped"/,
  },
  {
    name: 'leaves seq out',
    run: `{ const { seq, ...rest } = right(); answer(rest); }`,
    says: /must have the fields seq, result; got/,
  },
  {
    name: 'invents an error code',
    run: `answer({ seq: request.seq, errored: { code: 'oops', message: 'x' } })`,
    says: /errored\.code must be one of invalid-argument, unsupported, internal; got "oops"/,
  },
  {
    name: 'writes numbers as words',
    run: `{ const r = right(); r.result.steps[0].parameters[0] = ['one']; answer(r); }`,
    says: /must be a number or one of NaN/,
  },
  {
    name: 'writes masks as words',
    run: `{ const r = right(); r.result.steps[0].masks = ['kept']; answer(r); }`,
    says: /masks/,
  },
  {
    name: 'leaves steps out',
    run: `{ const r = right(); r.result.steps = []; answer(r); }`,
    says: /steps has the wrong length/,
  },
  {
    name: 'leaves elements out',
    run: `{ const r = right(); r.result.steps[0].parameters[0] = []; answer(r); }`,
    says: /wrong length/,
  },
  {
    name: 'computes wrongly',
    run: `{ const r = right(); r.result.steps[0].parameters[0][0] += 1; answer(r); }`,
    says: /outside its interval/,
  },
  {
    name: 'reports ten thousand states',
    run: `{ const r = right(); for (let i = 0; i < 1e4; i++) r.result.steps[0].state['s' + i] = [[1]]; answer(r); }`,
    says: /longer than|a name that its rule does not know|more than 100000/,
  },
  {
    name: 'answers with the prototype',
    run: `line('{"seq":' + request.seq + ',"result":{"steps":[]},"__proto__":{"a":1}}')`,
    says: /must have only the fields/,
  },
  {
    name: 'skips with a megabyte',
    run: `answer({ seq: request.seq, skipped: { reason: 'x'.repeat(1e6) } })`,
    says: /nothing was judged/,
  },
  {
    name: 'skips for a new reason each time',
    run: `answer({ seq: request.seq, skipped: { reason: 'no ' + Math.random() } })`,
    says: /nothing was judged/,
  },
  {
    name: 'refuses with a megabyte',
    run: `answer({ seq: request.seq, errored: { code: 'internal', message: 'y'.repeat(1e6) } })`,
    says: /a valid case is refused/,
  },
  {
    name: 'refuses with escape sequences',
    run: `answer({ seq: request.seq, errored: { code: 'internal', message: '${ESCAPES}' } })`,
    says: /\\x1b\[2J/,
  },
  {
    name: 'skips with escape sequences',
    run: `answer({ seq: request.seq, skipped: { reason: '${ESCAPES}' } })`,
    says: /nothing was judged/,
  },
  {
    name: 'dies with escape sequences',
    run: `console.error('${ESCAPES}'); process.exit(1)`,
    says: /\\x1b\]0;owned\\x07/,
  },
  { name: 'writes a line of escape sequences', run: `line('${ESCAPES}')`, says: /\\x1b\[2J/ },
  {
    name: 'is named with escape sequences',
    start: `{ hello.implementation.name = '${ESCAPES}'; answer(hello); }`,
    passes: true,
  },
  {
    name: 'is named with markup',
    start: `{ hello.implementation.name = '<script>alert(1)</script>'; answer(hello); }`,
    passes: true,
  },
  {
    name: 'is named with a megabyte',
    start: `{ hello.implementation.name = 'n'.repeat(1e6); answer(hello); }`,
    says: /implementation\.name/,
  },
  {
    name: 'has a million rules',
    start: `{ hello.implementation.rules = Array.from({ length: 1e5 }, (_, i) => 'r' + i); answer(hello); }`,
    says: /implementation\.rules/,
  },
  {
    name: 'has no language',
    start: `{ delete hello.implementation.language; answer(hello); }`,
    says: /must have the fields name, language, precision, rules, masks/,
  },
  { name: 'speaks another version', start: `answer({ ...hello, version: 99 })`, says: /version must be/ },
  {
    name: 'writes what is no UTF-8',
    run: `process.stdout.write(Buffer.from([0xff, 0xfe, 0xc0, 0x0a]))`,
    says: /not JSON/,
  },
  { name: 'writes zero bytes', run: `process.stdout.write(Buffer.alloc(4096)); raw('\\n')`, says: /not JSON: \\x00/ },
  { name: 'closes stdout', run: `require('node:fs').closeSync(1)`, says: /no answer|ended/ },
  {
    name: 'closes stdin',
    first: `process.stdin.destroy(); setInterval(() => {}, 1000)`,
    says: /closed its stdin|no answer/,
  },
  {
    name: 'never reads',
    first: `global.deaf = true; process.stdin.pause(); setInterval(() => {}, 1000)`,
    says: /no answer to start/,
  },
  {
    name: 'does not end when asked to',
    first: `process.on('SIGTERM', () => {})`,
    stop: `setInterval(() => {}, 1000)`,
    passes: true,
  },
  { name: 'leaves a child that holds the pipe', first: `child('setInterval(() => {}, 1000)')`, passes: true },
  {
    name: 'ends and leaves a child that holds the pipe',
    first: `child('setInterval(() => {}, 1000)')`,
    run: `process.exit(4)`,
    says: /exit code 4/,
  },
  {
    name: 'ends and leaves a detached child that floods the pipe',
    first: `child("setInterval(() => process.stdout.write('{}\\\\n'.repeat(1000)), 5)", true)`,
    run: `setTimeout(() => process.exit(5), 50)`,
    says: /exit code 5|nothing asked for|must have one of/,
  },
  { name: 'leaves a detached child', first: `child('setInterval(() => {}, 1000)', true)`, passes: true },
  {
    name: 'leaves a detached child that forks another each tenth of a second',
    first: `child("setInterval(() => require('node:child_process').spawn(process.execPath, ['-e', 'setTimeout(() => {}, 60000)'], { detached: true, stdio: 'inherit' }), 100)", true)`,
    passes: true,
  },
];

const greeting = (changes: string): string => `{ ${changes}; answer(hello); }`;

/** In the version of its greeting, in the features that it claims, in what it says of its own masks. */
const MORE_MISBEHAVIOURS: readonly Misbehaviour[] = [
  { name: 'answers start twice', start: `answer(hello); answer(hello)`, says: /nothing asked for/ },
  { name: 'greets over several lines', start: `line(JSON.stringify(hello, null, 1))`, says: /not JSON: \{/ },
  { name: 'greets as Python prints', start: `line("{'version': 1, 'implementation': None}")`, says: /not JSON/ },
  { name: 'begins with a byte order mark', start: `raw('\\ufeff'); answer(hello)`, says: /not JSON/ },
  {
    name: 'greets in UTF-16',
    start: `process.stdout.write(Buffer.from(JSON.stringify(hello) + '\\n', 'utf16le'))`,
    says: /not JSON/,
  },
  {
    name: 'claims a feature that there is not',
    start: greeting(`hello.implementation.features = ['telepathy']`),
    says: /features.*must be one of state, resume, base/,
  },
  {
    name: 'claims features in a word',
    start: greeting(`hello.implementation.features = 'state'`),
    says: /features/,
  },
  {
    name: 'claims every feature and has none',
    start: greeting(
      `hello.implementation.features = ['state', 'resume', 'base', 'schedule', 'groups', 'null-gradient']`,
    ),
    only: VERSION_2,
  },
  {
    name: 'has a precision that there is not',
    start: greeting(`hello.implementation.precision = 'float16'`),
    says: /precision must be one of float64, float32; got "float16"/,
  },
  {
    name: 'has masks from nowhere',
    start: greeting(`hello.implementation.masks = []`),
    says: /masks/,
  },
  {
    name: 'has rules of its own alone',
    start: greeting(`hello.implementation.rules = ['mine']`),
    only: ['.'],
  },
  {
    name: 'is named after the prototype',
    start: greeting(`hello.implementation.rules = ['__proto__', 'constructor', 'toString']`),
    only: ['.'],
  },
  {
    name: 'has a homepage that runs',
    start: greeting(`hello.implementation.homepage = 'javascript:alert(1)'`),
    passes: true,
  },
  {
    name: 'has a version of escape sequences',
    start: greeting(`hello.implementation.version = '${ESCAPES}'`),
    passes: true,
  },
  {
    name: 'speaks version 2 and knows no kind',
    start: greeting(`hello.version = 2; hello.implementation.kinds = {}`),
    passes: true,
  },
  {
    name: 'speaks version 1 and knows kinds',
    start: greeting(`hello.implementation.kinds = { magma: {} }`),
    says: /kinds/,
  },
  {
    name: 'knows a kind that there is not',
    start: greeting(`hello.version = 2; hello.implementation.kinds = { telekinesis: {} }`),
    says: /kinds/,
  },
  {
    name: 'knows the prototype for a kind',
    start: `line('{"version":2,"implementation":{"name":"x","language":"js","precision":"float64","rules":["sgdm"],"masks":["own"],"kinds":{"__proto__":{},"constructor":{}}}}')`,
    says: /kinds/,
  },
  {
    name: 'knows ten thousand kinds',
    start: greeting(
      `hello.version = 2; hello.implementation.kinds = Object.fromEntries(Array.from({ length: 1e4 }, (_, i) => ['k' + i, {}]))`,
    ),
    says: /kinds/,
  },
  {
    name: 'knows a kind with options of escape sequences',
    start: greeting(`hello.version = 2; hello.implementation.kinds = { magma: { moment: '${ESCAPES}' } }`),
    says: /moment/,
  },
  {
    name: 'knows every kind and steps without',
    start: greeting(
      `hello.version = 2; hello.implementation.kinds = { 'skip-update': {}, magma: {}, cautious: {} }; hello.implementation.masks = ['own', 'given', 'stream']`,
    ),
    only: VERSION_2,
    says: /LRD-FAM-001/,
  },
  {
    name: 'greets otherwise each time',
    start: greeting(
      `{ const n = fs.readFileSync(pids, 'utf8').split('\\n').length; hello.implementation.precision = n % 2 ? 'float32' : 'float64'; hello.implementation.rules = n % 2 ? ['adam'] : ['sgdm']; }`,
    ),
    run: `process.exit(6)`,
    says: /exit code 6|nothing was judged/,
  },
  {
    name: 'greets once and never again',
    start: `if (fs.readFileSync(pids, 'utf8').split('\\n').length < 3) answer(hello)`,
    run: `process.exit(7)`,
    says: /no answer to start/,
  },
  { name: 'stops itself', run: `process.kill(process.pid, 'SIGSTOP')`, says: /no answer after 1 s/ },
  {
    name: 'stops reading',
    run: `process.stdin.pause(); for (;;);`,
    says: /no answer after 1 s/,
  },
  { name: 'floods when it is asked to stop', stop: `flood(process.stdout, 'x'.repeat(65536))`, passes: true },
  {
    name: 'leaves a detached child when it is asked to stop',
    stop: `child('setInterval(() => {}, 1000)', true); process.exit(0)`,
    passes: true,
  },
  {
    name: 'dies of a flood of escape sequences on stderr',
    run: `fs.writeSync(2, '${ESCAPES}\\n'.repeat(5000)); process.exit(1)`,
    says: /exit code 1.*\\x1b/s,
  },
  {
    name: 'refuses over a thousand lines',
    run: `answer({ seq: request.seq, errored: { code: 'internal', message: 'a\\r\\n'.repeat(1000) } })`,
    says: /a valid case is refused/,
  },
  {
    name: 'refuses with half a character',
    run: `line('{"seq":' + request.seq + ',"errored":{"code":"internal","message":"\\\\ud800 \\\\udfff"}}')`,
    says: /a valid case is refused/,
  },
  {
    name: 'writes numbers that are too large',
    run: `line(JSON.stringify(right()).replace(/"parameters":\\[\\[[^,\\]]*/, '"parameters":[[1e400'))`,
    says: /must be a number|outside its interval/,
  },
  {
    name: 'writes true and null for numbers',
    run: `{ const r = right(); r.result.steps[0].parameters[0] = [true, null]; answer(r); }`,
    says: /must be a number/,
  },
  {
    name: 'puts numbers a level deeper',
    run: `{ const r = right(); r.result.steps[0].parameters = [[[1]]]; answer(r); }`,
    says: /must be a number/,
  },
  {
    name: 'writes masks of twos',
    run: `{ const r = right(); r.result.steps[0].masks = r.result.steps[0].masks.map((m) => m.replaceAll('1', '2')); answer(r); }`,
    says: /masks/,
  },
  {
    name: 'writes masks of a megabyte',
    run: `{ const r = right(); r.result.steps[0].masks = ['1'.repeat(1e6)]; answer(r); }`,
    says: /mask/,
  },
  {
    name: 'has a state called after the prototype',
    run: `{ const r = right(); line(JSON.stringify(r).replaceAll('"state":{}', '"state":{"__proto__":[[1]]}')); }`,
    says: /__proto__|does not know/,
  },
  {
    name: 'has a state called by escape sequences',
    run: `{ const r = right(); r.result.steps[0].state['${ESCAPES}'] = [[1]]; answer(r); }`,
    says: /\\x1b\[2J/,
  },
  {
    name: 'answers anything',
    run: `{ const r = right(); r.result.steps[0].parameters[0] = r.result.steps[0].parameters[0].map(() => Math.random() * 1e300); answer(r); }`,
    says: /outside its interval/,
  },
  { name: 'keeps everything of its own masks', only: OWN_MASKS, says: /LRD-MASK-001/ },
  {
    name: 'reports masks of its own too short',
    run: `{ const r = right(); for (const s of r.result.steps) s.masks = s.masks.map(() => '1'); answer(r); }`,
    only: OWN_MASKS,
    says: /wrong (size|length)/,
  },
  {
    name: 'reports a mask here and there',
    run: `{ const r = right(); r.result.steps.forEach((s, t) => { if (t % 2) s.masks = s.masks.map(() => null); }); answer(r); }`,
    only: OWN_MASKS,
    says: /LRD-MASK-001/,
  },
  {
    name: 'gives a sample of its own masks fewer steps',
    run: `{ const r = right(); r.result.steps.pop(); answer(r); }`,
    only: OWN_MASKS,
    says: /wrong (number|length|size)|steps/,
  },
  {
    name: 'refuses the sample of its own masks',
    run: `answer({ seq: request.seq, errored: { code: 'unsupported', message: '${ESCAPES}' } })`,
    only: OWN_MASKS,
    says: /nothing was judged/,
  },
  {
    name: 'throws and says it above the stack',
    run: `request.case.nothing.at(0)`,
    says: /exit code 1.*TypeError: Cannot read properties of undefined/,
  },
  {
    name: 'dies in the sample of its own masks',
    run: `process.exit(8)`,
    only: OWN_MASKS,
    says: /exit code 8/,
  },
  {
    name: 'is slower than the run is long',
    run: `setTimeout(() => answer(right()), 6000)`,
    minutes: 0.05,
    says: /time ran out/,
  },
  {
    name: 'is silent, in a run that is short',
    run: ``,
    minutes: 0.01,
    says: /time ran out|no answer/,
  },
];

const ALL = [...MISBEHAVIOURS, ...MORE_MISBEHAVIOURS];

/** The program of a misbehaviour: a correct SGD without LRD features that does one thing wrong. */
function programOf({ first = '', start, run, stop = 'process.exit(0)' }: Misbehaviour, index: number): string {
  const pids = join(scratch, `${index}.pids`);
  const source = `
    const { spawn } = require('node:child_process');
    const fs = require('node:fs');
    const pids = ${JSON.stringify(pids)};
    fs.appendFileSync(pids, process.pid + '\\n');
    const raw = (text) => process.stdout.write(text);
    const line = (text) => raw(text + '\\n');
    const answer = (message) => line(JSON.stringify(message));
    const dribble = async (text, ms) => {
      for (const letter of text) { raw(letter); if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms)); }
    };
    const flood = (stream, text) => { const more = () => { while (stream.write(text)); }; stream.on('drain', more); more(); };
    const child = (code, detached = false) => {
      const { pid } = spawn(process.execPath, ['-e', code], { stdio: 'inherit', detached });
      fs.appendFileSync(pids, pid + '\\n');
    };
    const hello = { version: 1, implementation: { name: 'x', language: 'js', precision: 'float64', rules: ['sgdm'], masks: ['own'], features: [] } };
    const sgdm = ({ hyper = {}, parameters, gradients }) => {
      const { learningRate = .1, momentum = .9, dampening = 0, nesterov = false, weightDecay = 0 } = hyper;
      const flat = (list, k) => Array.isArray(list) ? list : Array(parameters[k].shape.reduce((a, b) => a * b, 1)).fill(list.fill);
      let theta = parameters.map(({ values }, k) => [...flat(values, k)]);
      const buf = theta.map((values) => values.map(() => 0));
      return gradients.map((step, t) => {
        const all = step.map(flat);
        theta = theta.map((values, k) => values.map((x, i) => {
          const g = all[k][i] + (weightDecay === 0 ? 0 : weightDecay * x);
          buf[k][i] = t === 0 ? g : momentum * buf[k][i] + (1 - dampening) * g;
          return x - learningRate * (momentum === 0 ? g : nesterov ? g + momentum * buf[k][i] : buf[k][i]);
        }));
        return { parameters: theta.map((values) => [...values]), masks: theta.map((values) => '1'.repeat(values.length)), state: {} };
      });
    };
    let request;
    const right = () => ({ seq: request.seq, result: { steps: sgdm(request.case) } });
    ${first};
    if (!global.deaf) require('node:readline').createInterface({ input: process.stdin }).on('line', (text) => {
      request = JSON.parse(text);
      if (request.cmd === 'start') { ${start ?? 'answer(hello)'}; }
      else if (request.cmd === 'stop') { ${stop}; }
      else { ${run ?? 'answer(right())'}; }
    });`;
  const file = join(scratch, `${index}.cjs`);
  writeFileSync(file, source);
  return `cmd:exec "${process.execPath}" "${file}"`;
}

/** Whether a process runs. What nobody has waited for yet runs no more. */
function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const stat = `/proc/${pid}/stat`;
    return !existsSync(stat) || !/\) Z /.test(readFileSync(stat, 'latin1'));
  } catch {
    return false;
  }
}

function pidsOf(index: number): number[] {
  const file = join(scratch, `${index}.pids`);
  return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').map(Number) : [];
}

const valid = new Ajv2020({ allowUnionTypes: true }).compile(REPORT_SCHEMA);

function checkBounds(report: ConformanceReport): { readonly text: string; readonly page: string } {
  const [text, page, json] = [reportToText(report), reportToHtml(report), reportToJson(report)];
  assert.ok(text.length < 200_000, `${text.length} characters of terminal`);
  assert.ok(page.length < 2_000_000, `${page.length} characters of page`);
  assert.ok(json.length < 4_000_000, `${json.length} characters of JSON`);
  assert.not.match(text.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Cs}]/u);
  assert.not.match(page.replaceAll('\n', ''), /[\p{Cc}\p{Cf}\p{Cs}]/u);
  assert.not.match(page, /<script>alert/);
  assert.ok(valid(JSON.parse(json)), JSON.stringify(valid.errors));
  return { text, page };
}

const rss = (): number => process.resourceUsage().maxRSS / 1024;

interface Seen {
  readonly report: ConformanceReport;
  /** Programs that still run when the kit is done with theirs. */
  readonly left: readonly number[];
}

async function see(misbehaviour: Misbehaviour, index: number): Promise<Seen> {
  const waits = misbehaviour.passes === true || misbehaviour.says?.source.includes('no answer') !== true;
  const caseSeconds = waits ? ENOUGH_SECONDS : CASE_SECONDS;
  const report = await judgeAdapters(
    { names: [], open: (adapter, options) => openAdapter(adapter, { ...options, startSeconds: 2 * caseSeconds }) },
    {
      adapters: [programOf(misbehaviour, index)],
      only: misbehaviour.only ?? ['LRD-RULE-001/'],
      caseSeconds,
      seed: 1,
      ...(misbehaviour.minutes === undefined ? {} : { minutes: misbehaviour.minutes }),
    },
  );
  return { report, left: pidsOf(index).filter(runs) };
}

/** Most of the time is waiting: a few are judged at once. */
const AT_ONCE = 3;
const seen: Promise<Seen>[] = [];
let usual = 0;
test.before(async () => {
  await see({ name: 'usual' }, ALL.length);
  usual = rss();
  const lanes: Promise<unknown>[] = Array.from({ length: AT_ONCE }, () => Promise.resolve());
  for (const [index, misbehaviour] of ALL.entries()) {
    const lane = index % AT_ONCE;
    const result = (lanes[lane] as Promise<unknown>).then(() => see(misbehaviour, index));
    lanes[lane] = result.catch(() => undefined);
    result.catch(() => undefined);
    seen.push(result);
  }
});

test('there are at least 40 misbehaviours', () => assert.ok(ALL.length >= 40));

for (const [index, { name, says, passes = false }] of ALL.entries()) {
  test(`[LRD-PROTO-001] a program that ${name}`, async () => {
    const { report, left } = await (seen[index] as Promise<Seen>);
    const { text } = checkBounds(report);
    assert.is(report.passed, passes, text);
    if (says !== undefined) assert.match(text, says);
    assert.equal(left, [], 'what it started has ended with it');
  });
}

test('memory stays within 300 MB of what a program that follows the protocol takes', () => {
  const above = rss() - usual;
  assert.ok(above < 300, `${above.toFixed(0)} MB`);
});

test.run();
