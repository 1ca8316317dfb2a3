"""A client that sends any input and checks that the response is JSON and no fault."""

from collections import Counter
from itertools import cycle
from uuid import uuid4

import httpx
import orjson

from tests.serving import TLS, Json, token

MASKED = {"INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE", "EXECUTION_TIMEOUT"}
SUBJECTS = 100
"""Subjects that take turns. Each has its own budget, since a throttled request tests nothing."""


class Asker:
    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, verify=TLS, timeout=60)
        customer = str(uuid4())
        self._tokens = cycle([token(customer, subject=f"fuzz {n}") for n in range(SUBJECTS)])
        self.codes: Counter[str] = Counter()

    def authorization(self) -> str:
        return f"Bearer {next(self._tokens)}"

    def ask(self, query: str, variables: object = None) -> Json:
        """Return the response, after checking it."""
        asked = {"query": query, "variables": variables}
        answer = self._http.post("/graphql", json=asked, headers={"Authorization": self.authorization()})
        return self.check(answer.status_code, answer.content, asked)

    def check(self, status: int, body: bytes, asked: object) -> Json:
        assert status < 500, (status, body, asked)
        told: Json = orjson.loads(body)
        codes = [error["extensions"]["code"] for error in told.get("errors", ())]
        assert not MASKED.intersection(codes), (told, asked)
        assert told.get("data") is not None or codes, (told, asked)
        self.codes.update(codes or ["none"])
        return told

    def close(self) -> None:
        self._http.close()
