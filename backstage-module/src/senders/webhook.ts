import type { Message } from '../message';
import { reasonOf } from '../reason';
import { signedHeaders } from '../signature';
import type { Outcome, Sender } from './sender';

const READ_OF_AN_ANSWER = 300;

/** Posts signed messages to Stageport. */
export class WebhookSender implements Sender {
  readonly target: string;
  readonly maxBytes = 256 * 1024;
  readonly maxChanges = 500;

  constructor(private readonly options: { url: URL; key: Buffer; timeoutMs: number }) {
    this.target = options.url.origin + options.url.pathname;
  }

  async send(message: Message, signal: AbortSignal): Promise<Outcome> {
    try {
      return await judge(await this.post(message, signal));
    } catch (error) {
      return { kind: 'failed', reason: this.describe(error) };
    }
  }

  private post({ id, text }: Message, signal: AbortSignal): Promise<Response> {
    const seconds = Math.floor(Date.now() / 1000);
    const { url, key, timeoutMs } = this.options;
    return fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...signedHeaders({ id, seconds, body: text, key }) },
      body: text,
      redirect: 'manual', // a signature is for one address
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
  }

  private describe(error: unknown): string {
    const isLate = (error as { name?: string } | undefined)?.name === 'TimeoutError';
    return isLate ? `no answer within ${this.options.timeoutMs / 1000} s` : reasonOf(error);
  }
}

async function judge(response: Response): Promise<Outcome> {
  const said = await beginning(response);
  const reason = said ? `${response.status}: ${said}` : `${response.status}`;
  const retryAfterMs = readRetryAfter(response.headers.get('retry-after'));
  switch (response.status) {
    case 409: // it has this message already
      return { kind: 'delivered' };
    case 400:
    case 413:
      return { kind: 'refused', reason };
    case 401:
      return {
        kind: 'failed',
        reason: `${reason} (is stageport.secret the same on both sides, and are the clocks?)`,
        slowly: true,
      };
    default:
      return response.ok
        ? { kind: 'delivered' }
        : {
            kind: 'failed',
            reason,
            slowly: response.status < 500 && ![408, 429].includes(response.status),
            ...(retryAfterMs !== undefined && { retryAfterMs }),
          };
  }
}

/** Read enough of an answer for a log line. Short answers are read to their end, so that the connection is kept. */
async function beginning(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > READ_OF_AN_ANSWER) {
      break; // cancels the rest
    }
  }
  return text
    .slice(0, READ_OF_AN_ANSWER)
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim();
}

/** Read `Retry-After`, which is seconds or a date, as milliseconds from now. */
export function readRetryAfter(header: string | null, now = Date.now()): number | undefined {
  if (header === null || header.trim() === '') {
    return undefined;
  }
  const seconds = Number(header);
  const milliseconds = Number.isNaN(seconds) ? Date.parse(header) - now : seconds * 1000;
  return Number.isNaN(milliseconds) ? undefined : Math.max(0, milliseconds);
}
