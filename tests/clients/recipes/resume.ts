// Resumes a subscription after a lost connection: it asks again with the cursor of the last event as `after`.

/** Start a subscription; call the returned function to end it. */
export type Subscribe<Request, Result> = (request: Request, sink: Sink<Result>) => () => void;

export interface Sink<Result> {
  next(result: Result): void;
  error(error: unknown): void;
  complete(): void;
}

export interface Resumable {
  variables?: Record<string, unknown> | null | undefined;
}

/**
 * Return `subscribe` with a retry that misses no event and repeats none.
 *
 * A request resumes by cursor when its variables contain `after` (null at first) and it selects `cursor`.
 * Any other request is repeated as it was. An error that `isFinal` accepts ends the subscription.
 */
export function resuming<Request extends Resumable, Result>(
  subscribe: Subscribe<Request, Result>,
  isFinal: (error: unknown) => boolean,
): Subscribe<Request, Result> {
  return (first, sink) => {
    let request = first;
    let end = () => {};
    let timer: ReturnType<typeof setTimeout> | undefined;
    let ended = false;
    const connect = () => {
      end = subscribe(request, {
        next(result) {
          request = after(request, result);
          sink.next(result);
        },
        error(error) {
          if (ended) return;
          if (isFinal(error)) sink.error(error);
          else timer = setTimeout(connect, 500 + 1000 * Math.random()); // a random delay spreads the clients of a restarted server
        },
        complete: () => sink.complete(),
      });
    };
    connect();
    return () => {
      ended = true;
      clearTimeout(timer);
      end();
    };
  };
}

function after<Request extends Resumable>(request: Request, result: unknown): Request {
  const data = (result as { data?: Record<string, { cursor?: string } | null> | null }).data;
  const cursor = Object.values(data ?? {})[0]?.cursor;
  if (!cursor || !("after" in (request.variables ?? {}))) return request;
  return { ...request, variables: { ...request.variables, after: cursor } };
}
