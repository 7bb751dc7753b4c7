import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The package's version: its description lies one folder up from the sources, three from the built program. */
export function version(): string {
  const places = ['../package.json', '../../../package.json'].map((at) => fileURLToPath(new URL(at, import.meta.url)));
  const path = places.find((place) => existsSync(place)) as string;
  return (JSON.parse(readFileSync(path, 'utf8')) as { readonly version: string }).version;
}
