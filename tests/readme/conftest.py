"""The fixture with Node for the JavaScript example."""

from tests.server.conftest import node_scripts

__all__ = ["node_scripts"]
