#!/usr/bin/env node
import './oneTfjs.js';

// Not by an import statement: that would be resolved before the line above has run.
await import('../dist/models/cli/lrd.js');
