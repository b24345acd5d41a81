import {
  type BackendFeature,
  coreServices,
  createBackendModule,
  createServiceFactory,
} from '@backstage/backend-plugin-api';
import { mockServices, startTestBackend, type TestBackend } from '@backstage/backend-test-utils';
import type { Entity } from '@backstage/catalog-model';
import catalogPlugin from '@backstage/plugin-catalog-backend';
import {
  catalogProcessingExtensionPoint,
  type EntityProvider,
  type EntityProviderConnection,
} from '@backstage/plugin-catalog-node';
import { eventsServiceRef, type EventParams } from '@backstage/plugin-events-node';
import type { Knex } from 'knex';
import stageportModule from '../src';
import type { Body } from '../src/message';
import {
  createPostgresDatabase,
  describeSchema,
  type Kind,
  KINDS,
  open,
  postgresConnection,
} from './support/databases';
import { Receiver, SECRET } from './support/receiver';
import { until } from './support/until';

class Provider implements EntityProvider {
  connection: EntityProviderConnection | undefined;

  getProviderName = () => 'test';

  async connect(connection: EntityProviderConnection): Promise<void> {
    this.connection = connection;
  }

  async delta(options: { added?: Entity[]; removed?: string[] }): Promise<void> {
    await this.connection?.applyMutation({
      type: 'delta',
      added: (options.added ?? []).map(entity => ({ entity, locationKey: 'test' })),
      removed: (options.removed ?? []).map(entityRef => ({ entityRef, locationKey: 'test' })),
    });
  }
}

function entity(kind: string, name: string, spec: Record<string, string | string[]>): Entity {
  const location = `url:https://catalog.example/${name}`;
  const annotations = {
    'backstage.io/managed-by-location': location,
    'backstage.io/managed-by-origin-location': location,
  };
  return { apiVersion: 'backstage.io/v1alpha1', kind, metadata: { name, annotations }, spec };
}

const component = (name: string, owner: string, type = 'service') =>
  entity('Component', name, { type, lifecycle: 'production', owner });
const group = (name: string) => entity('Group', name, { type: 'team', children: [] });

describe.each(KINDS)('the module in a backend with %s', kind => {
  let receiver: Receiver;
  let provider: Provider;
  let backend: TestBackend | undefined;
  let knex: Knex;
  const logger = mockServices.logger.mock();

  beforeEach(async () => {
    receiver = await new Receiver().start();
    provider = new Provider();
    knex = await openDatabase(kind);
    jest.clearAllMocks();
  });

  afterEach(async () => {
    await backend?.stop();
    await receiver.stop();
  });

  async function start(stageport: object | undefined, ...features: BackendFeature[]) {
    const data = {
      backend: { baseUrl: 'http://backstage.test' },
      catalog: { stitchingStrategy: { pollingInterval: { milliseconds: 20 } }, processingInterval: { minutes: 30 } },
      ...(stageport && { stageport }),
    };
    backend = await startTestBackend({
      features: [
        catalogPlugin,
        stageportModule,
        mockServices.rootConfig.factory({ data }),
        mockServices.database.factory({ knex }),
        createServiceFactory({ service: coreServices.logger, deps: {}, factory: () => logger }),
        createBackendModule({
          pluginId: 'catalog',
          moduleId: 'test-provider',
          register(registry) {
            registry.registerInit({
              deps: { catalog: catalogProcessingExtensionPoint },
              async init({ catalog }) {
                catalog.addEntityProvider(provider);
              },
            });
          },
        }),
        ...features,
      ],
    });
    await until(() => provider.connection !== undefined);
  }

  const settings = () => ({ url: receiver.url, secret: SECRET, pollInterval: '20ms' });
  const told = (operation: string, ref: string) => () =>
    receiver.changes.some(one => one.operation === operation && one.entityRef === ref);

  it('tells of creates, updates, relation-only changes and deletes', async () => {
    await start(settings());
    await provider.delta({ added: [group('one'), group('two'), component('shop', 'one')] });
    await until(told('upsert', 'component:default/shop'));
    await until(told('upsert', 'group:default/two'));
    await until(
      async () => (await knex('stitch_queue')).length === 0 && (await knex('stageport_changes')).length === 0,
    );

    receiver.got.length = 0;
    await provider.delta({ added: [component('shop', 'two')] });
    await until(told('upsert', 'component:default/shop'));
    await until(told('upsert', 'group:default/one')); // the groups themselves did not change: their relations did
    await until(told('upsert', 'group:default/two'));

    await provider.delta({ removed: ['component:default/shop'] });
    await until(told('delete', 'component:default/shop'));
    const last = await knex('final_entities')
      .where({ entity_ref: 'group:default/two' })
      .first<{ hash: string; entity_id: string }>();
    await until(() => receiver.changes.some(one => one.etag === last.hash && one.uid === last.entity_id));
    expect(receiver.got.map(one => one.body.source)).toEqual(receiver.got.map(() => 'http://backstage.test'));
    expect(logger.warn.mock.calls).toEqual([]);
  });

  it('tells after a restart what changed while nobody listened', async () => {
    await start(settings());
    await until(() => receiver.got.length === 1);
    receiver.answer = () => 'cut';
    await provider.delta({ added: [group('one')] });
    await until(() => receiver.got.length > 1);
    await backend?.stop();
    receiver.got.length = 0;
    receiver.answer = () => ({ status: 202 });
    await start(settings());
    await until(told('upsert', 'group:default/one'));
    expect(receiver.got.every(({ body }) => body.type === 'stageport.catalog.changed')).toBe(true);
  });

  it('leaves no trace when it is uninstalled', async () => {
    await start(undefined);
    const before = await describeSchema(knex);
    await backend?.stop();
    await start(settings());
    await until(() => receiver.got.length === 1);
    await backend?.stop();
    expect(await describeSchema(knex)).not.toEqual(before);
    await start({ uninstall: true });
    await until(() => logger.info.mock.calls.some(([message]) => message.includes('were removed')));
    expect(await describeSchema(knex)).toEqual(before);
    await provider.delta({ added: [group('one')] });
    await until(async () => (await knex('final_entities').whereNotNull('final_entity')).length === 1);
  });

  it('does nothing, and says so, when it is not configured', async () => {
    await start(undefined);
    expect(logger.info.mock.calls).toContainEqual([expect.stringContaining('has no section "stageport"')]);
    expect(JSON.stringify(await describeSchema(knex))).not.toContain('stageport_');
  });

  it('publishes on the event bus when it is told to', async () => {
    const published: EventParams<Body>[] = [];
    const subscriber = createBackendModule({
      pluginId: 'catalog',
      moduleId: 'test-subscriber',
      register(registry) {
        registry.registerInit({
          deps: { events: eventsServiceRef },
          async init({ events }) {
            await events.subscribe({
              id: 'test',
              topics: ['stageport.catalog.changed'],
              onEvent: async params => void published.push(params as EventParams<Body>),
            });
          },
        });
      },
    });
    await start({ deliverTo: 'eventBus', pollInterval: '20ms' }, subscriber);
    await provider.delta({ added: [group('one')] });
    await until(() => published.some(one => JSON.stringify(one.eventPayload).includes('group:default/one')));
    expect(published[0]?.eventPayload).toEqual({ type: 'stageport.catalog.overflow', source: 'http://backstage.test' });
    await until(async () => (await knex('stageport_changes')).length === 0);
  });

  it('refuses to start with a secret that cannot work, and does not repeat it', async () => {
    const starting = start({ url: receiver.url, secret: 'not-a-secret' });
    await expect(starting).rejects.toThrow(/whsec_/);
    await expect(starting).rejects.not.toThrow(/not-a-secret/);
    backend = undefined;
  });
});

async function openDatabase(kind: Kind): Promise<Knex> {
  return kind === 'PostgreSQL'
    ? open({ client: 'pg', connection: postgresConnection(await createPostgresDatabase()) })
    : open({
        client: 'better-sqlite3',
        connection: ':memory:',
        useNullAsDefault: true,
        pool: {
          min: 1,
          max: 1,
          afterCreate: (connection: { pragma(sql: string): void }, done: () => void) => {
            connection.pragma('foreign_keys = ON');
            done();
          },
        },
      });
}
