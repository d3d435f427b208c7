// Runs on what tsc wrote to dist: no transformer, ESM as it is shipped.
export default {
  rootDir: 'dist',
  testEnvironment: 'node',
  testMatch: ['<rootDir>/{lib,cmd,tools,sim,bench}/**/*.test.js'],
  transform: {},
  injectGlobals: false,
  testTimeout: 30_000,
};
