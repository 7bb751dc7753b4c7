/**
 * What the kept results say of learning rate dropout, for the project's README:
 *
 *     npm run -s ts -- models/experiments/scripts/account.ts           # prints the three sentences
 *     npm run -s ts -- models/experiments/scripts/account.ts --write   # puts them into the README
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { README, keptAccount, withAccount } from '../account.ts';

const sentences = keptAccount();
if (process.argv.includes('--write')) writeFileSync(README, withAccount(readFileSync(README, 'utf8'), sentences));
else console.log(sentences.join('\n'));
