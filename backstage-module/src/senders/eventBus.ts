import type { EventsService } from '@backstage/plugin-events-node';
import { CHANGED, type Message } from '../message';
import { reasonOf } from '../reason';
import type { Outcome, Sender } from './sender';

/** Publishes messages on Backstage's event bus, from which a Stageport that cannot be reached takes them. */
export class EventBusSender implements Sender {
  readonly target = `the event bus, topic ${CHANGED}`;
  // The bus is another plugin's HTTP API, whose bodies may have 100 kB.
  readonly maxBytes = 64 * 1024;
  readonly maxChanges = 500;

  constructor(private readonly events: EventsService) {}

  async send(message: Message): Promise<Outcome> {
    try {
      await this.events.publish({ topic: CHANGED, eventPayload: message.body });
      return { kind: 'delivered' };
    } catch (error) {
      return { kind: 'failed', reason: reasonOf(error) };
    }
  }
}
