// A client without a library: documents typed by graphql-codegen, sent by fetch.
import { graphql, useFragment as read } from "../../generated/typed/index.ts";
import type {
  StartTransferInput,
  TransferStatus,
  TypedDocumentString,
} from "../../generated/typed/graphql.ts";

const TransferParts = graphql(`
  fragment TransferParts on Transfer {
    id
    version
    status
    outcome
    tmDeadline
  }
`);

const Start = graphql(`
  mutation StartTransfer($input: StartTransferInput!) {
    startTransfer(input: $input) {
      transfer {
        ...TransferParts
      }
      userErrors {
        code
        message
        field
      }
    }
  }
`);

const Complete = graphql(`
  mutation CompleteTransfer($input: CompleteTransferInput!) {
    completeTransfer(input: $input) {
      userErrors {
        code
        message
      }
    }
  }
`);

const Look = graphql(`
  query LookAtTransfer($id: ID!) {
    transfer(id: $id) {
      ...TransferParts
    }
  }
`);

export class Desk {
  private readonly url: string;
  private readonly token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.token = token;
  }

  /** Return the new transfer. `input` needs three fields: those with a default are optional. */
  async start(input: StartTransferInput) {
    const { startTransfer } = await this.ask(Start, { input });
    const refusal = startTransfer?.userErrors[0];
    if (refusal) throw new Error(`${refusal.code}: ${refusal.message}`);
    return read(TransferParts, startTransfer?.transfer);
  }

  async complete(transferId: string) {
    return (await this.ask(Complete, { input: { transferId } })).completeTransfer?.userErrors;
  }

  async look(id: string) {
    return read(TransferParts, (await this.ask(Look, { id })).transfer);
  }

  async ask<Data, Variables>(document: TypedDocumentString<Data, Variables>, variables: Variables): Promise<Data> {
    const headers = { authorization: `Bearer ${this.token}`, "content-type": "application/json" };
    const body = JSON.stringify({ query: document.toString(), variables });
    const answer = await fetch(this.url, { method: "POST", headers, body });
    const { data, errors } = (await answer.json()) as { data?: Data; errors?: { message: string }[] };
    if (!data || errors) throw new Error(errors?.[0]?.message ?? answer.statusText);
    return data;
  }
}

/** Return the words for a status. The enum grows, so keep the default branch. */
export function words(status: TransferStatus): string {
  switch (status) {
    case "RINGING":
      return "The destination rings.";
    case "CONSULTING":
      return "You speak with the destination; the caller waits.";
    case "COMPLETED":
      return "The caller speaks with the destination.";
    default:
      return status.toLowerCase();
  }
}
