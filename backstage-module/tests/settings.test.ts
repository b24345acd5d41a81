import { ConfigReader } from '@backstage/config';
import { decodeSecret, readTask } from '../src/settings';
import { SECRET } from './support/receiver';

function read(stageport: object | undefined, further: object = {}) {
  const backend = { baseUrl: 'https://backstage.example.com' };
  return readTask(new ConfigReader({ backend, ...(stageport && { stageport }), ...further }));
}

it('does nothing without a section of its own', () => {
  expect(read(undefined)).toEqual({ do: 'nothing' });
});

it('needs a URL and a secret, and no more', () => {
  expect(read({ url: 'https://stageport.example.com', secret: SECRET })).toEqual({
    do: 'deliver',
    settings: {
      receiver: {
        kind: 'webhook',
        url: new URL('https://stageport.example.com/integration/webhook'),
        key: Buffer.from('a key of at least 24 bytes'),
        timeoutMs: 10_000,
      },
      source: 'https://backstage.example.com',
      pollMs: 200,
      maxWaiting: 50_000,
    },
  });
});

it('takes what it is given', () => {
  const given = {
    url: 'http://stageport/backstage/events',
    secret: SECRET,
    source: 'prod',
    timeout: '3s',
    maxWaiting: 7,
  };
  expect(read({ ...given, pollInterval: { seconds: 1 } })).toMatchObject({
    settings: { source: 'prod', pollMs: 1000, maxWaiting: 7, receiver: { timeoutMs: 3000, url: new URL(given.url) } },
  });
});

it('uninstalls without asking for anything else', () => {
  expect(read({ uninstall: true })).toEqual({ do: 'uninstall' });
  expect(read({ uninstall: true, url: 'nonsense', secret: 'nonsense' })).toEqual({ do: 'uninstall' });
});

it('needs neither URL nor secret for the event bus, but the bus', () => {
  expect(read({ deliverTo: 'eventBus' })).toMatchObject({ settings: { receiver: { kind: 'eventBus' } } });
  expect(() => read({ deliverTo: 'eventBus' }, { events: { useEventBus: 'never' } })).toThrow(/useEventBus/);
});

it.each<[object, RegExp]>([
  [{ secret: SECRET }, /stageport\.url/],
  [{ url: 'https://stageport.example.com' }, /stageport\.secret/],
  [{ url: 'stageport.example.com', secret: SECRET }, /http or https/],
  [{ url: 'ftp://stageport.example.com', secret: SECRET }, /http or https/],
  [{ url: 'https://a:b@stageport.example.com', secret: SECRET }, /user or a password/],
  [{ deliverTo: 'mail' }, /"webhook" or "eventBus"/],
  [{ url: 'https://s.example.com', secret: SECRET, pollInterval: '0s' }, /pollInterval/],
  [{ url: 'https://s.example.com', secret: SECRET, maxWaiting: 0.5 }, /maxWaiting/],
])('refuses %j', (given, message) => {
  expect(() => read(given)).toThrow(message);
});

function secretOf(bytes: number): string {
  return `whsec_${Buffer.alloc(bytes, 'k').toString('base64')}`;
}

it.each([24, 32, 64])('takes a key of %d bytes, as Stageport does', bytes => {
  expect(decodeSecret(secretOf(bytes))).toHaveLength(bytes);
});

it.each([
  '',
  'secret',
  'whsec_',
  'whsec_short',
  'whsec_not base64 at all!!',
  Buffer.alloc(32).toString('base64'),
  secretOf(16),
  secretOf(23),
  secretOf(65),
  secretOf(32).replace(/=+$/, ''),
])('refuses the secret %j without repeating it', secret => {
  expect(() => decodeSecret(secret)).toThrow(/whsec_.*24 to 64 bytes.*openssl/);
  expect(() => decodeSecret(secret)).not.toThrow(/not base64 at all|short|a2tra/);
});
