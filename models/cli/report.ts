import { writeWhole } from '../trainer/runFolder.ts';
import { UsageError } from '../errors.ts';
import { renderRunReport } from '../report/runReport.ts';
import { readRun } from '../trainer/runFolder.ts';
import { parse } from './options.ts';

/** `lrd report RUN... --out FILE.html`: learning curves and a table, side by side. */
export function reportCommand(args: readonly string[]): void {
  const options = parse(args, { out: { type: 'string' } });
  const out = options.text('out');
  if (options.positionals.length === 0) throw new UsageError('lrd report needs at least one RUN folder');
  if (out === undefined) throw new UsageError('lrd report needs --out FILE.html');
  writeWhole(out, renderRunReport(options.positionals.map(readRun)));
  console.log(out);
}
