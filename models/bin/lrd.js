#!/usr/bin/env node
import '../dist/models/cli/lrd.js';
