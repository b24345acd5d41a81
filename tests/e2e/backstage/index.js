'use strict';

/**
 * A small real Backstage backend: the catalog, the Template kind, and a module that lets tests drive it.
 *
 *     node index.js --config app-config.yaml [--config overlay.json]
 *
 * SIGTERM stops it. So does the end of its standard input when STAGEPORT_E2E_STOP_WITH_STDIN is set: a test run
 * that is killed closes that pipe, and leaves no backend behind.
 */
const { createBackend } = require('@backstage/backend-defaults');
const { drivenCatalog } = require('./driven-catalog');

if (process.env.STAGEPORT_E2E_STOP_WITH_STDIN) {
  process.stdin.resume();
  process.stdin.on('close', () => process.kill(process.pid, 'SIGTERM'));
}

const backend = createBackend();
backend.add(require('@backstage/plugin-catalog-backend').default);
backend.add(require('@backstage/plugin-catalog-backend-module-scaffolder-entity-model').default);
backend.add(drivenCatalog);
backend.start();
