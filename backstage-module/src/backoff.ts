/**
 * How long to wait before the next try: doubling from `firstMs` to `mostMs`, of which a random half is taken off, so
 * that replicas do not come back all at once.
 */
export class Backoff {
  private failures = 0;

  constructor(
    private readonly firstMs: number,
    private readonly mostMs: number,
    private readonly random: () => number = Math.random,
  ) {}

  next(): number {
    const full = Math.min(this.mostMs, this.firstMs * 2 ** this.failures);
    this.failures += 1;
    return full * (0.5 + 0.5 * this.random());
  }

  reset(): void {
    this.failures = 0;
  }
}
