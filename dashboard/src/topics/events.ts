/** Server-sent events of a question that ends: unlike EventSource alone, nothing is asked again by itself. */

export interface Events {
  close(): void;
}

/** `hear` gets each event by its name; `broken` is called once when the stream ends or does not open. */
export function listen(address: string, hear: Record<string, (data: never) => void>, broken: () => void): Events {
  const source = new EventSource(address);
  for (const [name, take] of Object.entries(hear)) {
    source.addEventListener(name, (message) => take(JSON.parse((message as MessageEvent<string>).data) as never));
  }
  source.addEventListener('error', () => {
    if (source.readyState === EventSource.CLOSED && isClosed) return;
    close();
    broken();
  });
  let isClosed = false;
  const close = () => {
    isClosed = true;
    source.close();
  };
  return { close };
}
