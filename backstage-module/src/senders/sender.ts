import type { Message } from '../message';

/** What became of a message. */
export type Outcome =
  | { kind: 'delivered' }
  /** This very message will never be taken: it is malformed or too large to the receiver. */
  | { kind: 'refused'; reason: string }
  | { kind: 'failed'; reason: string; retryAfterMs?: number; slowly?: boolean };

export interface Sender {
  /** For logs: where messages go. */
  readonly target: string;
  readonly maxBytes: number;
  readonly maxChanges: number;
  send(message: Message, signal: AbortSignal): Promise<Outcome>;
}
