import { createHmac } from 'node:crypto';

/** The headers by which Standard Webhooks prove who sent a body, and when. */
export function signedHeaders(options: { id: string; seconds: number; body: string; key: Buffer }) {
  const { id, seconds, body, key } = options;
  const signature = createHmac('sha256', key).update(`${id}.${seconds}.${body}`).digest('base64');
  return {
    'webhook-id': id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': `v1,${signature}`,
  };
}
