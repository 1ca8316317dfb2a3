"""The table of attacks in app/server/README.md: its tests exist, and its limits are the real ones."""

import ast
import re

from app.api.metering.limits import Limits
from app.limits import TransportLimits
from tests.readme.pages import ROOT, SERVER, rows

DEFAULT = "tests/security/test_attacks.py"


def functions_of(file: str) -> set[str]:
    nodes = ast.walk(ast.parse((ROOT / file).read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def named(cell: str) -> list[tuple[str, str]]:
    """Return the file and the name of each test."""
    parts = [test.rpartition("::") for test in re.findall(r"`([^`]+)`", cell)]
    return [(file or DEFAULT, name) for file, _, name in parts]


def test_every_attack_has_tests_and_they_exist() -> None:
    assert len(rows("attacks", SERVER)) > 30
    for attack, _, cell in rows("attacks", SERVER):
        assert named(cell), attack
        for file, name in named(cell):
            assert name in functions_of(file), f"{attack}: {file}::{name}"


def test_every_test_of_an_attack_is_in_the_table() -> None:
    backing = {name for *_, cell in rows("attacks", SERVER) for _, name in named(cell)}
    assert {name for name in functions_of(DEFAULT) if name.startswith("test_")} - backing <= NOT_AN_ATTACK


NOT_AN_ATTACK = {"test_a_page_on_loopback_signs_nobody_in_without_a_demo"}


def test_the_limits_are_those_in_force() -> None:
    of = {attack: here for attack, here, _ in rows("attacks", SERVER)}
    limits, transport = Limits(), TransportLimits()
    for attack, *numbers in (
        ("Thousands of aliases", limits.max_aliases, limits.max_tokens, limits.max_length),
        ("Fan-out of lists", limits.max_cost),
        ("Deep documents", limits.max_depth),
        ("Thousands of directives", limits.max_directives),
        ("One field, thousands of times", limits.max_repeats),
        ("A hundred fragments with the same fields", limits.max_spreads),
        ("Expensive operations, many times", limits.budget, limits.budget_rate),
        ("Huge bodies and messages", transport.body_bytes),
        ("Flood of subscriptions", transport.operations_per_socket),
        ("Flood of WebSockets and event streams", transport.customer_connections, transport.address_connections),
        ("Flood of connections", transport.address_connections, transport.connections),
        ("Silent WebSockets", transport.init_timeout),
        ("Endless pings, pongs and fragments of messages", transport.idle_frames),
        ("Endless heads and trailers", transport.head_bytes / 1024, transport.head_timeout),
        ("Endless pipelined requests", transport.pipelined),
        ("Requests that go on after their response", transport.head_timeout),
        ("Slow readers", transport.send_timeout),
        ("Slow senders, slow operations", transport.operation_seconds),
    ):
        for number in numbers:
            assert re.search(rf"(?<![\d,]){number:,.0f}(?![\d,])", of[attack]), (attack, number)
