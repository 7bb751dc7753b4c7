throw new Error(
  'learning-rate-dropout/conformance is now learning-rate-dropout-cli/conformance: npm install learning-rate-dropout-cli',
);
