/**
 * What Node is given to run this checkout's TypeScript as it stands: tsx, and the condition by which the package
 * `learning-rate-dropout` leads to its sources in place of what was built of them. By hand it is `npm run ts -- FILE`.
 */
export const FROM_SOURCE: readonly string[] = [
  '--conditions=@learning-rate-dropout/source',
  '--import',
  import.meta.resolve('tsx'),
];
