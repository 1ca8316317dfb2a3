"""Agent desks built with the recipes: what their users see of a transfer from its start to its end."""

import sys
from pathlib import Path

import pytest

from tests.clients.running import Run
from tests.serving import Client
from tests.stories.desk import Desk

pytestmark = pytest.mark.slow

LIVED = ["STARTING", "RINGING", "CONSULTING", "ENDING", "COMPLETED"]


async def test_the_types_of_the_recipes_hold(run: Run) -> None:
    assert await (await run.node("node_modules/typescript/bin/tsc")).all() == []


async def test_a_desk_with_apollo_client(run: Run, client: Client) -> None:
    await _ended(client)
    said = await (await run.node("runs/apollo.ts", client.url, client.token)).all_said()
    assert said["started"]["userErrors"] == said["completed"]["userErrors"] == []
    # The answer to the start, which brings the transfer to the list, may come when the destination already rings.
    assert [status for status in said["shown"] if status in LIVED][-4:] == LIVED[1:]
    assert said["optimistic"] == "ENDING"
    assert (said["late"], said["cached"]) == ("CONSULTING", "COMPLETED")
    assert said["paged"] == 2


async def test_a_desk_with_urql(run: Run, client: Client) -> None:
    await _ended(client)
    said = await (await run.node("runs/urql.ts", client.url, client.token)).all_said()
    assert said["started"]["userErrors"] == said["completed"]["userErrors"] == []
    assert said["shown"][-1] == said["cached"] == "COMPLETED"
    assert said["paged"] == 2


async def test_a_desk_with_types_from_graphql_codegen(run: Run, client: Client) -> None:
    said = await (await run.node("runs/typed.ts", client.url, client.token)).all_said()
    assert said["completed"] == []
    assert said["status"] == "COMPLETED"
    assert said["refused"] == "NOT_FOUND: No such call."


async def _ended(client: Client) -> None:
    """An ended transfer. It failed, because its destination was busy."""
    desk = Desk(client)
    await desk.until_ended(await desk.start(await desk.talk(), "0102"))


async def test_a_desk_with_a_client_from_ariadne_codegen(run: Run, client: Client, tmp_path: Path) -> None:
    python = await _ariadne(run, tmp_path)
    talk = await Desk(client).talk()
    desk = await run(
        python,
        "recipes/ariadne/desk.py",
        client.url,
        client.token,
        talk.agent,
        PYTHONPATH=str(run.folder / "generated"),
    )
    statuses = [line.split()[-1].decode() for line in await desk.all()]
    assert list(dict.fromkeys(statuses)) == LIVED


async def _ariadne(run: Run, folder: Path) -> Path:
    """Generate the client in an environment of its own, and return that environment's Python."""
    environment, python = folder / "venv", folder / "venv" / "bin" / "python"
    uv = Path(sys.executable).with_name("uv")
    await (await run(uv, "venv", "--quiet", "--python", sys.executable, environment)).all()
    lock = ["--require-hashes", "-r", "ariadne.lock"]
    await (await run(uv, "pip", "install", "--quiet", "--python", python, *lock)).all()
    codegen = await run(environment / "bin" / "ariadne-codegen", "--config", "recipes/ariadne/ariadne.toml")
    assert await codegen.all()
    return python
