import type { Knex } from 'knex';
import { mockServices } from '@backstage/backend-test-utils';
import { Listener } from '../src/outbox/listener';
import { PostgresOutbox } from '../src/outbox/postgres';
import { CatalogRows } from './support/catalogRows';
import { open, openCatalogDatabase } from './support/databases';
import { until } from './support/until';

const ALL = { limit: 1000, overflow: true };
let knex: Knex;
let rows: CatalogRows;
let outbox: PostgresOutbox;

async function install(options: { schema?: string } = {}): Promise<void> {
  knex = await openCatalogDatabase('PostgreSQL', options);
  rows = new CatalogRows(knex);
  outbox = await PostgresOutbox.create(knex);
  await outbox.install();
  await outbox.settle(await outbox.claim(ALL));
}

describe('several replicas', () => {
  beforeEach(() => install());

  it('share what waits, each change for one of them', async () => {
    const other = await PostgresOutbox.create(knex);
    for (let place = 0; place < 10; place += 1) {
      await rows.create(`component:default/c${place}`);
    }
    const [ours, theirs] = await Promise.all([
      outbox.claim({ limit: 5, overflow: true }),
      other.claim({ limit: 5, overflow: true }),
    ]);
    expect(new Set([...ours, ...theirs].map(one => one.entityRef)).size).toBe(10);
    expect(await (await PostgresOutbox.create(knex)).claim(ALL)).toEqual([]);
  });

  it('wait for the one that has a ref under way, so that no change of it overtakes another', async () => {
    const other = await PostgresOutbox.create(knex);
    const uid = await rows.create('component:default/a');
    const underWay = await outbox.claim(ALL);
    await rows.stitch(uid, 'component:default/a', 'hash-2');
    expect(await other.claim(ALL)).toEqual([]);
    await outbox.settle(underWay);
    expect((await outbox.claim(ALL)).map(one => one.etag)).toEqual(['hash-2']);
  });

  it('take over what another one released, or had when it died', async () => {
    const other = await PostgresOutbox.create(knex);
    await rows.create('component:default/a');
    expect(await outbox.claim(ALL)).toHaveLength(1);
    await outbox.release();
    expect(await other.claim(ALL)).toHaveLength(1);
    expect(await outbox.claim(ALL)).toHaveLength(0);
    await knex('stageport_changes').update({ claimed_until: Date.now() - 1 }); // the time is up
    expect(await outbox.claim(ALL)).toHaveLength(1);
  });

  it("install at the same time without getting into each other's way", async () => {
    await outbox.uninstall();
    const replicas = await Promise.all(Array.from({ length: 4 }, () => PostgresOutbox.create(knex)));
    const made = await Promise.all(replicas.map(one => one.install()));
    expect(made.filter(Boolean)).toHaveLength(1);
    expect(await outbox.claim(ALL)).toHaveLength(1);
  });
});

describe('the catalog', () => {
  beforeEach(() => install());

  it('is never stopped by a missing table, and the miss is made good', async () => {
    await knex.raw('DROP TABLE stageport_changes');
    const uid = await rows.create('component:default/a');
    await rows.stitch(uid, 'component:default/a', 'hash-2');
    await rows.delete('component:default/a');
    expect(await outbox.install()).toBe(true);
    expect((await outbox.claim(ALL)).map(one => one.operation)).toEqual(['overflow']);
  });

  it('is never stopped by a trigger that fails, and the miss is made good once', async () => {
    await knex.raw(`ALTER TABLE stageport_changes ADD CONSTRAINT broken CHECK (entity_ref <> 'component:default/a')`);
    await rows.create('component:default/a');
    await rows.create('component:default/b');
    await knex.raw('ALTER TABLE stageport_changes DROP CONSTRAINT broken');
    expect(await outbox.install()).toBe(true);
    expect((await outbox.claim(ALL)).map(one => one.operation)).toEqual(['upsert', 'overflow']);
    expect(await outbox.install()).toBe(false);
  });

  it('is not waited for: what it holds is left for later', async () => {
    const uid = await rows.create('component:default/a');
    await rows.create('component:default/b');
    const underWay = await outbox.claim(ALL);
    await knex.transaction(async tx => {
      await new CatalogRows(tx).stitch(uid, 'component:default/a', 'hash-2');
      await outbox.settle(underWay);
      await outbox.release();
      expect(await outbox.claim(ALL)).toEqual([]);
    });
    expect((await outbox.claim(ALL)).map(one => one.etag)).toEqual(['hash-2']);
  });

  it('gets an overflow when its table is truncated', async () => {
    await rows.create('component:default/a');
    await outbox.settle(await outbox.claim(ALL));
    await knex.raw('TRUNCATE refresh_state CASCADE');
    expect((await outbox.claim(ALL)).map(one => one.operation)).toEqual(['overflow']);
  });
});

describe('a schema of its own in a shared database', () => {
  it('holds everything, whatever the search path of who writes', async () => {
    await install({ schema: 'catalog "odd"' });
    await rows.create('component:default/a');
    await knex.raw('SET search_path TO public');
    const connection = (knex.client as { config: { connection: object } }).config.connection;
    const admin = open({ client: 'pg', connection });
    await admin.withSchema('catalog "odd"').from('final_entities').update({ hash: 'by-hand' });
    const fresh = await PostgresOutbox.create(open({ client: 'pg', connection, searchPath: ['catalog "odd"'] }));
    expect((await fresh.claim(ALL)).map(one => one.etag)).toEqual(['by-hand']);
    expect(await fresh.install()).toBe(false);
    expect(await fresh.uninstall()).toBe(true);
    const { rows: left } = await admin.raw<{ rows: unknown[] }>(
      `SELECT relname FROM pg_class WHERE relname LIKE 'stageport%'`,
    );
    expect(left).toEqual([]);
  });
});

describe('the listener', () => {
  const logger = mockServices.logger.mock();
  let heard: number;
  let listener: Listener;

  beforeEach(async () => {
    await install();
    heard = 0;
    logger.info.mockClear();
    listener = new Listener({ knex, logger, onNews: () => (heard += 1), probeMs: 50, patienceMs: 500, pollMs: 200 });
  });
  afterEach(() => listener.stop());

  it('hears of a change, and of nothing else', async () => {
    listener.start();
    await until(() => listener.live);
    const before = heard;
    await rows.create('component:default/a');
    await until(() => heard > before);
    const after = heard;
    await knex('final_entities').update({ last_updated_at: knex.fn.now() });
    await new Promise(resolve => setTimeout(resolve, 200)); // several probes
    expect(heard).toBe(after);
    expect(listener.live).toBe(true);
  });

  it('comes back when its connection was cut', async () => {
    listener.start();
    await until(() => listener.live);
    await knex.raw(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'`);
    await until(() => !listener.live);
    await until(() => listener.live);
    const before = heard;
    await rows.create('component:default/a');
    await until(() => heard > before);
  });

  it('knows, and says once, that notifications do not arrive', async () => {
    const client = knex.client as { acquireRawConnection(): Promise<{ query(sql: string): Promise<unknown> }> };
    const acquire = client.acquireRawConnection.bind(client);
    client.acquireRawConnection = async () => {
      const connection = await acquire();
      const query = connection.query.bind(connection);
      // As behind a pooler: LISTEN is heard by another connection than the one that stays.
      connection.query = sql => query(sql.startsWith('LISTEN') ? 'SELECT 1' : sql);
      return connection;
    };
    listener.start();
    await until(() => logger.info.mock.calls.length > 0);
    await new Promise(resolve => setTimeout(resolve, 1500));
    expect(listener.live).toBe(false);
    expect(logger.info.mock.calls.map(([message]) => message)).toEqual([
      'PostgreSQL does not notify of changes (notifications do not arrive; a pooler may be in between);' +
        ' it is asked every 200 ms until it does.',
    ]);
  });
});
