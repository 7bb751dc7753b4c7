/**
 * Builds the documentation into `build/docs`, a folder that opens from disk: guides, the reference of every public name, the specification,
 * the demo and the conformance page.
 *
 *     npm run docs
 *
 * Exit code 1 when TypeDoc warns: a link that leads nowhere, a public name without text.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import katex from 'katex';
import { Application, JSX, MarkdownEvent, PageEvent, ReflectionKind, TSConfigReader, TypeDocReader } from 'typedoc';
import type { DeclarationReflection, ProjectReflection, Reflection } from 'typedoc';
import { drawArchitecture } from './architecture.ts';
import { PAGES, buildPage } from './pages.ts';
import type { PageSources } from './pages.ts';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/** The public entry points, by the names of their modules. */
const ENTRIES = [
  'impl-gpu/tfjs/index.ts',
  'impl-gpu/index.ts',
  'impl-gpu/random.ts',
  'impl-gpu/tensorflow/index.ts',
  'spec/index.ts',
  'impl-ref/index.ts',
  'conformance/index.ts',
  'models/index.ts',
];
/** The guides in the order of the margin; rooms' own READMEs hang below them. */
const GUIDES = [
  'train',
  'browser',
  'backends',
  'certify',
  'reproduce',
  'sweeps',
  'relatives',
  'performance',
  'specification',
  'architecture',
  'changes',
];
/** Where the demo and the conformance page lie in the site. */
export const DEMO = 'demo';
const STYLE = `
.drawing { margin: 1.5rem 0; }
.drawing svg { max-width: 100%; height: auto; }
.drawing figcaption { color: var(--color-text-aside); }
.pages { margin: 0 0 1rem; padding: 0; list-style: none; }
`;

/** Kinds of reflection that are names of their own. */
const NAMES =
  ReflectionKind.Enum |
  ReflectionKind.EnumMember |
  ReflectionKind.Variable |
  ReflectionKind.Function |
  ReflectionKind.Class |
  ReflectionKind.Interface |
  ReflectionKind.Property |
  ReflectionKind.Method |
  ReflectionKind.Accessor |
  ReflectionKind.TypeAlias;

const hasText = (reflection: Reflection | undefined): boolean => reflection?.comment?.hasVisibleComponent() === true;

function described(reflection: DeclarationReflection): boolean {
  const { signatures = [], getSignature, setSignature, type } = reflection;
  if ([reflection, getSignature, setSignature, ...signatures].some(hasText)) return true;
  // A property that is a function has its text at the function's signature.
  const inner = type?.type === 'reflection' ? (type.declaration.signatures ?? []) : [];
  return inner.some(hasText);
}

/**
 * Whether a name stands inside a type that has none: an entry of a constant that is a table, a field of what a function takes or gives, a case
 * of a union. Its text is that of the name around it.
 */
function isInner({ parent }: Reflection): boolean {
  return parent !== undefined && (parent.kindOf(ReflectionKind.TypeLiteral) || isInner(parent));
}

/** Public names without text. */
export function undocumented(project: ProjectReflection): string[] {
  const found: string[] = [];
  for (const reflection of Object.values(project.reflections)) {
    if (!reflection.isDeclaration() || !reflection.kindOf(NAMES)) continue;
    if (isInner(reflection) || described(reflection)) continue;
    found.push(reflection.getFullName());
  }
  return found.sort();
}

/** Formulas as MathML, which browsers set without a script, and the drawings in their place. */
function typeset(markdown: string): string {
  return markdown
    .replaceAll(/^```math\n([^]*?)\n```$/gm, (_, formula: string) =>
      katex.renderToString(formula, { output: 'mathml', displayMode: true, throwOnError: true }),
    )
    .replace('<!-- architecture -->', () => drawArchitecture());
}

export interface DocsOptions {
  /** Makes the text of a page beside the documents. Default: the whole page, which takes a bundler its time. */
  readonly page?: (sources: PageSources, documents: string) => Promise<string>;
}

export interface Docs {
  /** Public names without text. */
  readonly undocumented: readonly string[];
  /** How often TypeDoc warned: of links that lead nowhere, of tags that it does not know. What it said stands on the console. */
  readonly warnings: number;
}

/** Builds the documents into a folder, which is emptied first. */
export async function buildDocs(folder: string, { page = buildPage }: DocsOptions = {}): Promise<Docs> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const scratch = mkdtempSync(join(tmpdir(), 'lrd-docs-'));
  const style = join(scratch, 'site.css');
  writeFileSync(style, STYLE);
  const app = await Application.bootstrap(
    {
      name: 'Learning Rate Dropout',
      basePath: root,
      entryPoints: ENTRIES.map((entry) => join(root, entry)),
      projectDocuments: GUIDES.map((guide) => join(root, 'models/docs', `${guide}.md`)),
      readme: join(root, 'README.md'),
      tsconfig: join(root, 'tsconfig.json'),
      customCss: style,
      // The typecheck has its own command, with the compiler that the packages are built with.
      skipErrorChecking: true,
      excludeExternals: true,
      excludeInternal: true,
      excludePrivate: true,
      disableSources: true,
      sort: ['documents-first', 'source-order'],
      sortEntryPoints: false,
      searchInComments: true,
      searchInDocuments: true,
      githubPages: false,
      includeVersion: true,
      highlightLanguages: ['typescript', 'javascript', 'json', 'bash', 'python', 'html', 'css'],
      validation: {
        notExported: false,
        invalidLink: true,
        invalidPath: true,
        rewrittenLink: true,
        notDocumented: false,
      },
      logLevel: 'Warn',
    },
    [new TypeDocReader(), new TSConfigReader()],
  );
  // Ahead of TypeDoc's own parser.
  app.renderer.on(MarkdownEvent.PARSE, (event: MarkdownEvent) => (event.parsedText = typeset(event.parsedText)), 100);
  // Pages put their icons into themselves; a file of them beside the page is nothing that a page from disk may read.
  app.renderer.on(PageEvent.END, (page: PageEvent) => {
    if (page.contents !== undefined) page.contents = page.contents.replaceAll(/(<use href=")[^"#]*(?=#icon-)/g, '$1');
  });
  app.renderer.hooks.on('pageSidebar.begin', (context) =>
    JSX.createElement(
      'ul',
      { class: 'pages' },
      ...[
        ['index.html', 'Demo: descents and training'],
        ['conformance.html', 'Judge this browser'],
      ].map(([file, title]) =>
        JSX.createElement('li', null, JSX.createElement('a', { href: context.relativeURL(`${DEMO}/${file}`) }, title)),
      ),
    ),
  );
  const project = await app.convert();
  if (project === undefined) throw new Error('TypeDoc made nothing of the sources');
  app.validate(project);
  const bare = undocumented(project);
  await app.generateDocs(project, folder);
  rmSync(scratch, { recursive: true });
  mkdirSync(join(folder, DEMO));
  for (const [name, sources] of Object.entries(PAGES)) {
    const documents = '<a href="../index.html">The documents</a> say more.';
    writeFileSync(join(folder, DEMO, name), await page(sources, documents));
  }
  return { undocumented: bare, warnings: app.logger.warningCount + app.logger.errorCount };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const folder = join(root, 'build', 'docs');
  const { undocumented: bare, warnings } = await buildDocs(folder);
  for (const name of bare) console.error(`no text: ${name}`);
  if (bare.length > 0 || warnings > 0) process.exitCode = 1;
  console.log(`${join(folder, 'index.html')}\nopens in a browser as it is; no server is needed`);
}
