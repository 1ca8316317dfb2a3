// A desk built with generated types: starts a transfer, completes it when the destination has answered, and is refused another.
import { Desk, words } from "../recipes/typed/desk.ts";
import { say, talk, to, token, until, url } from "./desk.ts";

const desk = new Desk(url, token);
const started = await desk.start(to(await talk()));
await until(started!.id, "CONSULTING");
say({ completed: await desk.complete(started!.id) });
await until(started!.id, "COMPLETED");
const { status, tmDeadline } = (await desk.look(started!.id))!;
say({ status, tmDeadline, words: words(status) });
await desk.start(to("00000000-0000-4000-8000-000000000000")).catch((error: Error) => say({ refused: error.message }));
