// Black-box suites on real processes: run by `npm run test:e2e`, one file after another.
export default {
  rootDir: '../dist/e2e',
  testEnvironment: 'node',
  testMatch: ['<rootDir>/**/*.test.js'],
  transform: {},
  injectGlobals: false,
  testTimeout: 300_000,
};
