import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Body, Change } from '../../src/message';

export const SECRET = `whsec_${Buffer.from('a key of at least 24 bytes').toString('base64')}`;

export interface Got {
  path: string;
  headers: IncomingHttpHeaders;
  text: string;
  body: Body;
}

export type Answer = { status: number; headers?: Record<string, string>; text?: string } | 'hang' | 'cut';

/** A receiver that checks signatures as its own reading of Standard Webhooks has it, and answers as it is told. */
export class Receiver {
  readonly got: Got[] = [];
  /** What to answer to a request whose signature is good. */
  answer: (got: Got) => Answer = () => ({ status: 202, text: '{"accepted":1}' });
  private readonly server: Server;

  constructor() {
    this.server = createServer((request, response) => void this.serve(request, response));
  }

  async start(): Promise<this> {
    await new Promise<void>(resolve => this.server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** All changes in the order of their arrival. */
  get changes(): Change[] {
    return this.got.flatMap(({ body }) => ('changes' in body ? body.changes : []));
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise(resolve => this.server.close(resolve));
  }

  private async serve(...[request, response]: Parameters<RequestListener>): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) {
      chunks.push(chunk as Buffer);
    }
    const text = Buffer.concat(chunks).toString();
    const got = { path: request.url ?? '', headers: request.headers, text, body: JSON.parse(text) as Body };
    const answer: Answer = isSigned(got) ? this.answer(got) : { status: 401, text: 'bad signature' };
    this.got.push(got);
    if (answer === 'cut') {
      response.destroy();
    } else if (answer !== 'hang') {
      response.writeHead(answer.status, answer.headers).end(answer.text);
    }
  }
}

function isSigned({ headers, text }: Got): boolean {
  const key = Buffer.from(SECRET.replace('whsec_', ''), 'base64');
  const [id, timestamp] = [headers['webhook-id'], headers['webhook-timestamp']];
  const expected = createHmac('sha256', key)
    .update(`${String(id)}.${String(timestamp)}.${text}`)
    .digest('base64');
  const isFresh = Math.abs(Number(timestamp) - Date.now() / 1000) < 300;
  return isFresh && headers['webhook-signature'] === `v1,${expected}`;
}
