/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/tests/**/*.test.ts'],
  transform: { '\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }] },
  globalSetup: '<rootDir>/tests/support/startPostgres.ts',
  globalTeardown: '<rootDir>/tests/support/stopPostgres.ts',
  testTimeout: 60_000,
  maxWorkers: 2,
};
