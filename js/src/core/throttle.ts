/**
 * A slider moves sixty times a second; the kernel is told at most once in `ms`, at once of the first value and always
 * of the last. `flush` tells the last value now.
 */
export function throttle<T>(
  send: (value: T) => void,
  ms: number,
  signal: AbortSignal,
): { send(value: T): void; flush(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let latest: { value: T } | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (!latest || signal.aborted) return;
    const { value } = latest;
    latest = undefined;
    send(value);
    timer = setTimeout(flush, ms);
  };
  signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  return {
    send(value) {
      latest = { value };
      if (timer === undefined) flush();
    },
    flush,
  };
}
