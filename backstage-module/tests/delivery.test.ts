import type { Knex } from 'knex';
import { mockServices } from '@backstage/backend-test-utils';
import { Delivery, type Pace } from '../src/delivery';
import { Health } from '../src/health';
import type { Change } from '../src/message';
import type { Outbox } from '../src/outbox/outbox';
import { WebhookSender } from '../src/senders/webhook';
import { decodeSecret } from '../src/settings';
import { CatalogRows } from './support/catalogRows';
import { KINDS, openCatalogDatabase, outboxOf } from './support/databases';
import { Receiver, SECRET } from './support/receiver';
import { until } from './support/until';

const PACE: Pace = { firstRetryMs: 20, lastRetryMs: 100, slowRetryMs: 150, mostRetryAfterMs: 500, inspectMs: 100 };

describe.each(KINDS)('delivery from %s', kind => {
  const logger = mockServices.logger.mock();
  const running: Delivery[] = [];
  let receiver: Receiver;
  let knex: Knex;
  let rows: CatalogRows;
  let outbox: Outbox;

  beforeEach(async () => {
    receiver = await new Receiver().start();
    knex = await openCatalogDatabase(kind);
    rows = new CatalogRows(knex);
    outbox = await outboxOf(knex);
    await outbox.install();
    await outbox.settle(await outbox.claim({ limit: 1, overflow: true }));
    jest.clearAllMocks();
  });

  afterEach(async () => {
    await Promise.all(running.splice(0).map(one => one.stop()));
    await receiver.stop();
  });

  async function start(options: { maxWaiting?: number; pace?: Partial<Pace> } = {}): Promise<Delivery> {
    const url = new URL(`${receiver.url}/integration/webhook`);
    const sender = new WebhookSender({ url, key: decodeSecret(SECRET), timeoutMs: 2000 });
    const delivery = new Delivery({
      outbox: await outboxOf(knex),
      sender,
      health: new Health(logger, sender.target),
      source: 'here',
      maxWaiting: options.maxWaiting ?? 1000,
      idleMs: () => 20,
      pace: { ...PACE, ...options.pace },
    });
    running.push(delivery);
    delivery.start();
    return delivery;
  }

  const nothingWaits = async () => (await outbox.waiting()).count === 0;
  const said = (level: 'info' | 'warn' | 'error') => logger[level].mock.calls.map(([message]) => message);
  const isBad = (change: Change) => change.entityRef.endsWith('/bad');

  it('brings every change once when nothing goes wrong', async () => {
    await start();
    const uid = await rows.create('component:default/a');
    await until(nothingWaits);
    await rows.stitch(uid, 'component:default/a', 'hash-2');
    await until(nothingWaits);
    await rows.delete('component:default/a');
    await until(nothingWaits);
    expect(receiver.changes.map(({ operation, etag }) => [operation, etag])).toEqual([
      ['upsert', 'hash-1'],
      ['upsert', 'hash-2'],
      ['delete', null],
    ]);
    expect(said('warn')).toEqual([]);
  });

  it('sends a crowd in few requests', async () => {
    for (let place = 0; place < 30; place += 1) {
      await rows.create(`component:default/c${place}`);
    }
    await start();
    await until(nothingWaits);
    expect(receiver.got).toHaveLength(1);
    expect(receiver.changes).toHaveLength(30);
  });

  it('tries again until it is taken, says so once and when it is over, and keeps the id', async () => {
    let failures = 5;
    receiver.answer = () => (failures-- > 0 ? { status: 503, text: 'draining' } : { status: 202 });
    await rows.create('component:default/a');
    await start();
    await until(nothingWaits);
    expect(new Set(receiver.got.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    expect(receiver.got).toHaveLength(6);
    expect(said('warn')).toEqual([
      expect.stringMatching(/do not reach Stageport at .*: 503: draining\. 1 change wait/),
    ]);
    expect(said('info')).toEqual([expect.stringMatching(/reach Stageport again/)]);
  });

  it('brings the last of what changed meanwhile, once for each ref', async () => {
    receiver.answer = () => ({ status: 500 });
    const uid = await rows.create('component:default/a');
    await start();
    await until(() => receiver.got.length > 1);
    for (let turn = 2; turn < 9; turn += 1) {
      await rows.stitch(uid, 'component:default/a', `hash-${turn}`);
    }
    receiver.got.length = 0;
    receiver.answer = () => ({ status: 202 });
    await until(nothingWaits);
    expect(receiver.changes.at(-1)?.etag).toBe('hash-8');
    expect(receiver.changes.length).toBeLessThanOrEqual(2);
  });

  it('comes back when its answer was lost', async () => {
    let isFirst = true;
    receiver.answer = () => {
      const answer = isFirst ? 'cut' : { status: 409 };
      isFirst = false;
      return answer;
    };
    await rows.create('component:default/a');
    await start();
    await until(nothingWaits);
    expect(receiver.got).toHaveLength(2);
  });

  it.each([400, 413])(
    'finds the change that is answered with %i, gives up that one, and asks for everything',
    async status => {
      for (const name of ['a', 'b', 'c', 'bad', 'd', 'e', 'f', 'g']) {
        await rows.create(`component:default/${name}`);
      }
      const taken: string[] = [];
      receiver.answer = ({ body }) => {
        if ('changes' in body && body.changes.some(isBad)) {
          return { status, text: 'not this one' };
        }
        taken.push(...('changes' in body ? body.changes.map(one => one.entityRef.slice(-1)) : [body.type]));
        return { status: 202 };
      };
      await start();
      await until(nothingWaits);
      expect(taken.slice().sort()).toEqual(['a', 'b', 'c', 'd', 'e', 'f', 'g', 'stageport.catalog.overflow']);
      expect(said('error')).toEqual([
        `Stageport refused the change of component:default/bad (${status}: not this one); it is asked to look at everything instead.`,
      ]);
    },
  );

  it('goes on with changes where an overflow is not understood', async () => {
    receiver.answer = ({ body }) => ({ status: 'changes' in body ? 202 : 400 });
    await outbox.overflow();
    await start();
    await rows.create('component:default/a');
    await until(() => receiver.changes.length === 1);
    await until(async () => (await outbox.waiting()).count === 1);
    receiver.answer = () => ({ status: 202 });
    await until(nothingWaits);
  });

  it('says what a refused signature means, once, and goes on slowly', async () => {
    receiver.answer = () => ({ status: 401 });
    await rows.create('component:default/a');
    await start();
    await until(() => receiver.got.length >= 3);
    expect(said('warn')).toEqual([expect.stringContaining('is stageport.secret the same on both sides')]);
    receiver.answer = () => ({ status: 202 });
    await until(nothingWaits);
  });

  it('leaves what it could not bring to others while it waits', async () => {
    receiver.answer = () => ({ status: 404 });
    await rows.create('component:default/a');
    const delivery = await start({ pace: { slowRetryMs: 600_000 } });
    await until(() => said('warn').length > 0);
    const theirs = await (await outboxOf(knex)).claim({ limit: 9, overflow: true });
    expect(theirs.map(one => one.entityRef)).toEqual(['component:default/a']);
    await delivery.stop(); // at once, although it would have waited for minutes
  });

  it('asks for everything when too many wait', async () => {
    receiver.answer = () => ({ status: 500 });
    for (let place = 0; place < 12; place += 1) {
      await rows.create(`component:default/c${place}`);
    }
    await start({ maxWaiting: 10 });
    await until(async () => (await outbox.waiting()).count === 1);
    receiver.got.length = 0;
    receiver.answer = () => ({ status: 202 });
    await until(nothingWaits);
    expect(receiver.got.at(-1)?.body).toEqual({ type: 'stageport.catalog.overflow', source: 'here' });
    expect(said('warn')).toContainEqual(expect.stringMatching(/12 changes wait, which is too many/));
  });

  it('puts triggers back that went, and asks for everything', async () => {
    await start();
    await knex.raw(`DROP TRIGGER stageport_updated${kind === 'SQLite' ? '' : ' ON final_entities'}`);
    await until(() => receiver.got.some(({ body }) => body.type === 'stageport.catalog.overflow'));
  });

  it('waits for a database that is not ready, and installs then', async () => {
    await outbox.uninstall();
    await knex.schema.renameTable('final_entities', 'elsewhere');
    await start();
    await until(() => said('warn').length > 0);
    await knex.schema.renameTable('elsewhere', 'final_entities');
    await until(() => receiver.got.length > 0);
    expect(receiver.got[0]?.body.type).toBe('stageport.catalog.overflow');
  });

  it('stops at once while nobody answers, and loses nothing', async () => {
    receiver.answer = () => 'hang';
    await rows.create('component:default/a');
    const delivery = await start();
    await until(() => receiver.got.length > 0);
    await delivery.stop(50);
    expect((await outbox.claim({ limit: 9, overflow: true })).map(one => one.entityRef)).toEqual([
      'component:default/a',
    ]);
  });

  it('brings everything in order, by two at a time, while many change and one in three requests fails', async () => {
    let requests = 0;
    receiver.answer = () => ((requests += 1) % 3 === 0 ? { status: 500 } : { status: 202 });
    await start();
    if (kind === 'PostgreSQL') {
      await start(); // another replica
    }
    const uids = new Map<string, string>();
    for (let turn = 0; turn < 120; turn += 1) {
      const ref = `component:default/c${turn % 7}`;
      const uid = uids.get(ref);
      if (uid === undefined) {
        uids.set(ref, await rows.create(ref, `hash-${turn}`));
      } else if (turn % 5 === 0) {
        await rows.delete(ref);
        uids.delete(ref);
      } else {
        await rows.stitch(uid, ref, `hash-${turn}`);
      }
    }
    await until(nothingWaits);
    for (let place = 0; place < 7; place += 1) {
      const ref = `component:default/c${place}`;
      const ofRef = receiver.changes.filter(one => one.entityRef === ref);
      const sequences = ofRef.map(one => one.sequence);
      expect(sequences).toEqual([...sequences].sort((one, other) => one - other));
      const row = await knex('final_entities').where({ entity_ref: ref }).first<{ hash: string } | undefined>();
      expect(ofRef.at(-1)?.etag ?? undefined).toBe(row?.hash);
    }
  });
});
