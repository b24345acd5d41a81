import { buildMessage, type Change } from '../src/message';
import type { Noted } from '../src/outbox/outbox';
import { signedHeaders } from '../src/signature';

const source = 'https://backstage.example.com';

function noted(sequence: number, changed: Partial<Noted> = {}): Noted {
  return {
    entityRef: `component:default/c${sequence}`,
    operation: 'upsert',
    uid: 'uid',
    etag: 'etag',
    sequence,
    notedAt: 1000 + sequence,
    ...changed,
  };
}

function changesOf(message: ReturnType<typeof buildMessage>): Change[] {
  return 'changes' in message.body ? message.body.changes : [];
}

it('says what the contract says, and no more', () => {
  const message = buildMessage({
    source,
    maxBytes: 1e6,
    noted: [noted(1), noted(2, { operation: 'delete', etag: null })],
  });
  expect(JSON.parse(message.text)).toEqual({
    type: 'stageport.catalog.changed',
    source,
    changes: [
      { entityRef: 'component:default/c1', operation: 'upsert', uid: 'uid', etag: 'etag', sequence: 1 },
      { entityRef: 'component:default/c2', operation: 'delete', uid: 'uid', etag: null, sequence: 2 },
    ],
  });
});

it('keeps to the bytes it is given, counted as they are sent', () => {
  const many = Array.from({ length: 500 }, (_, place) =>
    noted(place, { entityRef: `component:default/größe-${place}` }),
  );
  for (const maxBytes of [300, 1000, 5000, 20_000]) {
    const message = buildMessage({ source, maxBytes, noted: many });
    const size = changesOf(message).length;
    expect(Buffer.byteLength(message.text)).toBeLessThanOrEqual(maxBytes);
    expect(message.settles).toEqual(many.slice(0, size));
    const larger = buildMessage({ source, maxBytes: 1e9, noted: many.slice(0, size + 1) });
    expect(Buffer.byteLength(larger.text)).toBeGreaterThan(maxBytes);
  }
});

it('sends one change however large it is', () => {
  expect(buildMessage({ source, maxBytes: 10, noted: [noted(1), noted(2)] }).settles).toEqual([noted(1)]);
});

it('sends an overflow first and alone', () => {
  const overflow = noted(2, { entityRef: '', operation: 'overflow' });
  const message = buildMessage({ source, maxBytes: 1e6, noted: [noted(1), overflow, noted(3)] });
  expect(JSON.parse(message.text)).toEqual({ type: 'stageport.catalog.overflow', source });
  expect(message.settles).toEqual([overflow]);
});

it('gives the same id to the same changes, and another to any other', () => {
  const id = (...some: Noted[]) => buildMessage({ source, maxBytes: 1e6, noted: some }).id;
  expect(id(noted(1), noted(2))).toBe(id(noted(1), noted(2)));
  expect(id(noted(1))).toMatch(/^msg_[\w-]{27}$/);
  const others = [
    id(noted(1)),
    id(noted(2)),
    id(noted(1), noted(2)),
    id(noted(1, { notedAt: 7 })), // a new database counts from one again
    id(noted(1, { entityRef: '', operation: 'overflow' })),
    id(noted(2, { entityRef: '', operation: 'overflow' })),
  ];
  expect(new Set(others).size).toBe(others.length);
});

it('signs as Standard Webhooks does in its own example', () => {
  // https://github.com/standard-webhooks/standard-webhooks: the test vector that its libraries share.
  const key = Buffer.from('MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'base64');
  const signed = signedHeaders({
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    seconds: 1614265330,
    body: '{"test": 2432232314}',
    key,
  });
  expect(signed['webhook-signature']).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});
