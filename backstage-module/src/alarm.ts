/** A sleep that can be cut short, and that remembers a ring which came while nobody slept. */
export class Alarm {
  private rung = false;
  private wake: (() => void) | undefined;

  ring(): void {
    this.rung = true;
    this.wake?.();
  }

  /** Sleep for so long, or until it rings, or until something else has come about. */
  async sleep(milliseconds: number, orUntil?: Promise<void>): Promise<void> {
    if (!this.rung) {
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, milliseconds);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
        void orUntil?.then(this.wake);
      });
    }
    this.wake = undefined;
    this.rung = false;
  }
}
