#!/usr/bin/env node
import { reportErrors } from './errors.ts';
import { main } from './main.ts';

await reportErrors(() => main(process.argv.slice(2)));
