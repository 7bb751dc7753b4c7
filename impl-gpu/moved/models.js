throw new Error(
  'learning-rate-dropout/models is now learning-rate-dropout-cli/models: npm install learning-rate-dropout-cli',
);
