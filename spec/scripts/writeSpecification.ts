/** Writes spec/SPECIFICATION.md:  npm run ts -- spec/scripts/writeSpecification.ts */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { renderSpecification } from '../render.ts';
import { referenceEvidence, root } from './evidence.ts';

writeFileSync(join(root, 'spec/SPECIFICATION.md'), renderSpecification(referenceEvidence()));
