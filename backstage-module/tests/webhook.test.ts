import { buildMessage, type Message } from '../src/message';
import { readRetryAfter, WebhookSender } from '../src/senders/webhook';
import { decodeSecret } from '../src/settings';
import { type Answer, Receiver, SECRET } from './support/receiver';

let receiver: Receiver;
beforeEach(async () => {
  receiver = await new Receiver().start();
});
afterEach(() => receiver.stop());

const message: Message = buildMessage({
  source: 'here',
  maxBytes: 1e6,
  noted: [{ entityRef: 'component:default/a', operation: 'upsert', uid: null, etag: null, sequence: 1, notedAt: 1 }],
});

function send(options: { secret?: string; timeoutMs?: number; url?: string } = {}) {
  const sender = new WebhookSender({
    url: new URL(options.url ?? `${receiver.url}/integration/webhook`),
    key: decodeSecret(options.secret ?? SECRET),
    timeoutMs: options.timeoutMs ?? 5000,
  });
  return sender.send(message, new AbortController().signal);
}

it('posts signed JSON', async () => {
  expect(await send()).toEqual({ kind: 'delivered' });
  expect(receiver.got).toHaveLength(1);
  expect(receiver.got[0]?.headers['content-type']).toBe('application/json');
  expect(receiver.got[0]?.headers['webhook-id']).toBe(message.id);
  expect(receiver.got[0]?.path).toBe('/integration/webhook');
});

it.each<[Answer, object]>([
  [{ status: 200 }, { kind: 'delivered' }],
  [{ status: 409 }, { kind: 'delivered' }],
  [
    { status: 400, text: 'no\n\tchanges' },
    { kind: 'refused', reason: '400: no changes' },
  ],
  [{ status: 413 }, { kind: 'refused', reason: '413' }],
  [{ status: 404 }, { kind: 'failed', slowly: true }],
  [{ status: 415 }, { kind: 'failed', slowly: true }],
  [{ status: 408 }, { kind: 'failed', slowly: false }],
  [
    { status: 307, headers: { location: 'http://127.0.0.1:1/' } },
    { kind: 'failed', reason: '307' },
  ],
  [
    { status: 429, headers: { 'retry-after': '7' } },
    { kind: 'failed', slowly: false, retryAfterMs: 7000 },
  ],
  [
    { status: 503, headers: { 'retry-after': '2' } },
    { kind: 'failed', slowly: false, retryAfterMs: 2000 },
  ],
  [
    { status: 500, text: 'x'.repeat(1e6) },
    { kind: 'failed', reason: `500: ${'x'.repeat(300)}` },
  ],
  ['cut', { kind: 'failed' }],
])('judges the answer %j', async (answer, expected) => {
  receiver.answer = () => answer;
  expect(await send()).toMatchObject(expected);
});

it('says what to look at when the signature is refused', async () => {
  const other = `whsec_${Buffer.alloc(24).toString('base64')}`;
  expect(await send({ secret: other })).toEqual({
    kind: 'failed',
    reason: '401: bad signature (is stageport.secret the same on both sides, and are the clocks?)',
    slowly: true,
  });
});

it('waits no longer than it was told', async () => {
  receiver.answer = () => 'hang';
  expect(await send({ timeoutMs: 50 })).toMatchObject({ kind: 'failed', reason: 'no answer within 0.05 s' });
});

it('says why nobody could be reached', async () => {
  const { url } = receiver;
  await receiver.stop();
  expect(await send({ url })).toMatchObject({
    kind: 'failed',
    reason: expect.stringContaining('ECONNREFUSED') as string,
  });
  receiver = await new Receiver().start();
});

it.each([
  [null, undefined],
  ['', undefined],
  ['3', 3000],
  ['-3', 0],
  ['soon', undefined],
  ['Thu, 01 Jan 1970 00:01:00 GMT', 50_000],
  ['Thu, 01 Jan 1970 00:00:01 GMT', 0],
])('reads Retry-After %j', (header, expected) => {
  expect(readRetryAfter(header, 10_000)).toBe(expected);
});
