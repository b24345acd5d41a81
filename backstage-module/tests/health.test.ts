import { mockServices } from '@backstage/backend-test-utils';
import { Health } from '../src/health';

const logger = mockServices.logger.mock();
const target = 'https://stageport.example.com/integration/webhook';
const MINUTE = 60_000;
let now = 0;
let health: Health;
const waiting = async () => ({ count: 3, oldestAt: now - 5_000 });

beforeEach(() => {
  jest.clearAllMocks();
  now = 1_000_000;
  health = new Health(logger, target, () => now);
});

const warned = () => logger.warn.mock.calls.map(([message]) => message);
const informed = () => logger.info.mock.calls.map(([message]) => message);

it('says that changes do not arrive at once and every ten minutes, and when they do again', async () => {
  for (let minute = 0; minute < 25; minute += 1) {
    await health.noteFailed('503', waiting);
    now += MINUTE;
  }
  expect(warned()).toHaveLength(3);
  expect(warned()[0]).toBe(
    `Changes of the catalog do not reach Stageport at ${target}: 503. ` +
      '3 changes wait in the database, the first for 5 s; nothing is lost, and it is tried again.',
  );
  health.noteDelivered(3);
  health.noteDelivered(1);
  expect(informed()).toEqual(['Changes of the catalog reach Stageport again, after 25 min.']);
});

it('does not fill the log when each failure reads differently', async () => {
  for (let second = 0; second < 120; second += 1) {
    await health.noteFailed(`500: request ${second}`, waiting);
    now += 1000;
  }
  expect(warned()).toHaveLength(2);
});

it('says once that the database is away, and that it is back', () => {
  health.noteDatabaseFailed('connect ECONNREFUSED');
  now += 3_000;
  health.noteDatabaseFailed('connect ECONNREFUSED');
  health.noteDatabaseWell();
  health.noteDatabaseWell();
  expect(warned()).toHaveLength(1);
  expect(informed()).toEqual(['The outbox for Stageport can be used again, after 3 s.']);
});

it('sums up every hour, and not when nothing was delivered', () => {
  for (let minute = 0; minute < 125; minute += 1) {
    now += MINUTE;
    health.noteDelivered(2);
  }
  expect(informed()).toEqual([
    '120 changes of the catalog told to Stageport in 60 min.',
    '120 changes of the catalog told to Stageport in 60 min.',
  ]);
});
