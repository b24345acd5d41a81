import { coreServices, createBackendModule, type LoggerService } from '@backstage/backend-plugin-api';
import { type EventsService, eventsServiceRef } from '@backstage/plugin-events-node';
import type { Knex } from 'knex';
import { Delivery } from './delivery';
import { Health } from './health';
import { Listener } from './outbox/listener';
import type { Outbox } from './outbox/outbox';
import { PostgresOutbox } from './outbox/postgres';
import { SqliteOutbox } from './outbox/sqlite';
import { EventBusSender } from './senders/eventBus';
import type { Sender } from './senders/sender';
import { WebhookSender } from './senders/webhook';
import { readTask, type Receiver, type Settings } from './settings';
import { Removal } from './removal';

/** How often the database is asked although PostgreSQL notifies: in case that a notification got lost. */
const SAFETY_POLL_MS = 5_000;

/**
 * Tells Stageport of every change of a final entity, by a table and triggers of its own beside the catalog's.
 *
 * Work begins once the catalog has started, when its migrations are done.
 */
export const catalogModuleStageport = createBackendModule({
  pluginId: 'catalog',
  moduleId: 'stageport',
  register(registry) {
    registry.registerInit({
      deps: {
        config: coreServices.rootConfig,
        database: coreServices.database,
        events: eventsServiceRef,
        lifecycle: coreServices.lifecycle,
        logger: coreServices.logger,
      },
      async init({ config, database, events, lifecycle, logger }) {
        const task = readTask(config);
        if (task.do === 'nothing') {
          logger.info('Changes of the catalog are not told to Stageport: app-config.yaml has no section "stageport".');
          return;
        }
        const knex = await database.getClient();
        const service =
          task.do === 'uninstall'
            ? new Removal(await outboxOf(knex), logger)
            : await prepare({ knex, settings: task.settings, events, logger });
        lifecycle.addStartupHook(() => service.start());
        lifecycle.addShutdownHook(() => service.stop());
      },
    });
  },
});

async function prepare(options: { knex: Knex; settings: Settings; events: EventsService; logger: LoggerService }) {
  const { knex, settings, events, logger } = options;
  const sender = senderFor(settings.receiver, events);
  const listener = isPostgres(knex)
    ? new Listener({ knex, logger, pollMs: settings.pollMs, onNews: () => delivery.wake() })
    : undefined;
  const delivery: Delivery = new Delivery({
    outbox: await outboxOf(knex),
    sender,
    health: new Health(logger, sender.target),
    source: settings.source,
    maxWaiting: settings.maxWaiting,
    idleMs: () => (listener?.live ? SAFETY_POLL_MS : settings.pollMs),
  });
  return {
    start() {
      logger.info(`Changes of the catalog are told to Stageport at ${sender.target}.`);
      listener?.start();
      delivery.start();
    },
    async stop() {
      await Promise.all([listener?.stop(), delivery.stop()]);
    },
  };
}

function senderFor(receiver: Receiver, events: EventsService): Sender {
  switch (receiver.kind) {
    case 'webhook':
      return new WebhookSender(receiver);
    case 'eventBus':
      return new EventBusSender(events);
  }
}

async function outboxOf(knex: Knex): Promise<Outbox> {
  if (isPostgres(knex)) {
    return PostgresOutbox.create(knex);
  }
  if (clientName(knex).includes('sqlite')) {
    return new SqliteOutbox(knex);
  }
  throw new Error(`The Stageport module needs PostgreSQL or SQLite; the catalog's database is ${clientName(knex)}.`);
}

function isPostgres(knex: Knex): boolean {
  return clientName(knex) === 'pg';
}

function clientName(knex: Knex): string {
  return String((knex.client as { config: { client: unknown } }).config.client);
}
