import { type Config, readDurationFromConfig } from '@backstage/config';
import { durationToMilliseconds } from '@backstage/types';

/** Where changes are told, and how. */
export type Receiver = { kind: 'webhook'; url: URL; key: Buffer; timeoutMs: number } | { kind: 'eventBus' };

/** What app-config.yaml says below `stageport`. */
export interface Settings {
  receiver: Receiver;
  /** Names this Backstage in each message. */
  source: string;
  /** How often the outbox is looked at where the database does not say that something came. */
  pollMs: number;
  /** With more changes waiting than this, one request for a whole delta takes their place. */
  maxWaiting: number;
}

/** `nothing`: not configured. `uninstall`: take everything out of the database. */
export type Task = { do: 'nothing' } | { do: 'uninstall' } | { do: 'deliver'; settings: Settings };

const SECRET_PREFIX = 'whsec_';
/** In bytes: Stageport takes no other key, and a message that nobody takes is found out late. */
const SHORTEST_KEY = 24;
const LONGEST_KEY = 64;
const MAKE_A_SECRET = 'Make one with: echo "whsec_$(openssl rand -base64 32)"';

/** Read what to do. Throws, with a sentence for a person, when the configuration cannot work. */
export function readTask(config: Config): Task {
  const stageport = config.getOptionalConfig('stageport');
  if (!stageport) {
    return { do: 'nothing' };
  }
  if (stageport.getOptionalBoolean('uninstall')) {
    return { do: 'uninstall' };
  }
  return { do: 'deliver', settings: readSettings(stageport, config) };
}

function readSettings(stageport: Config, config: Config): Settings {
  return {
    receiver: readReceiver(stageport, config),
    source: stageport.getOptionalString('source') ?? config.getString('backend.baseUrl'),
    pollMs: readMilliseconds(stageport, 'pollInterval', 200),
    maxWaiting: readCount(stageport, 'maxWaiting', 50_000),
  };
}

function readReceiver(stageport: Config, config: Config): Receiver {
  const deliverTo = stageport.getOptionalString('deliverTo') ?? 'webhook';
  switch (deliverTo) {
    case 'webhook':
      return {
        kind: 'webhook',
        url: readUrl(stageport),
        key: decodeSecret(stageport.getString('secret')),
        timeoutMs: readMilliseconds(stageport, 'timeout', 10_000),
      };
    case 'eventBus':
      if (config.getOptionalString('events.useEventBus') === 'never') {
        throw new Error('stageport.deliverTo is "eventBus", but events.useEventBus is "never"; remove one of the two.');
      }
      return { kind: 'eventBus' };
    default:
      throw new Error(`stageport.deliverTo must be "webhook" or "eventBus", not "${deliverTo}".`);
  }
}

function readUrl(stageport: Config): URL {
  const text = stageport.getString('url');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new Error('stageport.url must be an http or https address, such as https://stageport.example.com');
  }
  if (url.username || url.password) {
    throw new Error('stageport.url must not hold a user or a password: messages are signed with stageport.secret.');
  }
  if (url.pathname === '/') {
    url.pathname = '/integration/webhook';
  }
  return url;
}

/** Decode a secret of Standard Webhooks (`whsec_` and base64) into the key that signs. */
export function decodeSecret(secret: string): Buffer {
  const encoded = secret.startsWith(SECRET_PREFIX) ? secret.slice(SECRET_PREFIX.length) : '';
  const isBase64 = /^[A-Za-z0-9+/]+={0,2}$/.test(encoded) && encoded.length % 4 === 0;
  const key = Buffer.from(isBase64 ? encoded : '', 'base64');
  if (key.length < SHORTEST_KEY || key.length > LONGEST_KEY) {
    const rule = `must be "${SECRET_PREFIX}" and the base64 of ${SHORTEST_KEY} to ${LONGEST_KEY} bytes`;
    throw new Error(`stageport.secret ${rule}. ${MAKE_A_SECRET}`);
  }
  return key;
}

function readMilliseconds(config: Config, key: string, otherwise: number): number {
  if (!config.has(key)) {
    return otherwise;
  }
  const milliseconds = durationToMilliseconds(readDurationFromConfig(config, { key }));
  if (milliseconds <= 0) {
    throw new Error(`stageport.${key} must be longer than nothing.`);
  }
  return milliseconds;
}

function readCount(config: Config, key: string, otherwise: number): number {
  const count = config.getOptionalNumber(key) ?? otherwise;
  if (!Number.isInteger(count) || count < 1) {
    throw new Error(`stageport.${key} must be a whole number above zero.`);
  }
  return count;
}
