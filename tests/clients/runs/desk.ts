import { createSockets } from "../recipes/sockets.ts";

// What every run needs: the address and the token from the command line, calls to transfer, and lines that the test reads.
export const [url = "", token = "", ...rest] = process.argv.slice(2);

export function say(value: unknown) {
  console.log(JSON.stringify(value));
}

export async function ask(query: string, variables: object = {}): Promise<any> {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify({ query, variables }) });
  const { data, errors } = (await answer.json()) as { data: any; errors?: unknown };
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

/** Return the id of an agent's call, which has a caller at its other end. */
export async function talk(): Promise<string> {
  const tel = (target: string) => ({ type: "TEL", target });
  const { simulateCall } = await ask(
    "mutation ($input: SimulateCallInput!) { simulateCall(input: $input) { agentCall { id } } }",
    { input: { caller: tel("+15557000001"), agent: tel("+15557000002") } },
  );
  return simulateCall.agentCall.id;
}

/** Return the input of a start whose destination answers at once. */
export function to(transfererCallId: string) {
  return { type: "ATTENDED" as const, transfererCallId, transfereeAddresses: [{ type: "TEL" as const, target: "+15558000101" }] };
}

/** Wait until a transfer has that status. */
export async function until(id: string, status: string): Promise<void> {
  const sockets = createSockets(url.replace(/^http/, "ws"), () => token);
  const query = "subscription ($id: ID!) { transferChanged(id: $id) { status } }";
  await new Promise<void>((resolve, error) => {
    const next = ({ data }: any) => (data.transferChanged.status === status ? resolve() : undefined);
    sockets.subscribe({ query, variables: { id } }, { next, error, complete: resolve });
  });
  await sockets.dispose();
}

/** What a person sees on a screen, each state once, and a way to wait until it is there. */
export class Screen {
  readonly shown: string[] = [];
  private waiting: { state: string; seen: () => void }[] = [];

  show(state: string | undefined) {
    if (!state || state === this.shown.at(-1)) return;
    this.shown.push(state);
    for (const { seen } of this.waiting.filter(({ state: wanted }) => wanted === state)) seen();
  }

  until(state: string): Promise<void> {
    if (this.shown.at(-1) === state) return Promise.resolve();
    return new Promise((seen) => this.waiting.push({ state, seen }));
  }
}
