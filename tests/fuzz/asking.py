"""A client that sends anything and holds the server to its word: an answer in JSON, and never a fault."""

from collections import Counter
from itertools import count
from typing import Any
from uuid import uuid4

import httpx

from tests.serving import TLS, Json, token

MASKED = {"INTERNAL_SERVER_ERROR", "SERVICE_UNAVAILABLE", "EXECUTION_TIMEOUT"}
TO_A_SUBJECT = 20
"""Requests until the next subject asks: each has a budget of its own, and a throttled request finds out nothing."""


class Asker:
    def __init__(self, url: str, customer: str | None = None) -> None:
        self._http = httpx.Client(base_url=url, verify=TLS, timeout=60)
        self._customer = customer or str(uuid4())
        self._sent = count()
        self._headers: dict[str, str] = {}
        self.codes: Counter[str] = Counter()

    def authorization(self) -> str:
        sent = next(self._sent)
        if sent % TO_A_SUBJECT == 0:
            bearer = token(self._customer, subject=f"fuzz {sent}")
            self._headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        return self._headers["Authorization"]

    def ask(self, query: str, variables: object = None) -> Json:
        return self.send(json={"query": query, "variables": variables})

    def send(self, **request: Any) -> Json:
        """The answer, if it is a decent one."""
        self.authorization()
        answer = self._http.post("/graphql", headers=self._headers, **request)
        assert answer.status_code < 500, (answer.status_code, answer.text, request)
        return self.check(answer.json(), request)

    def check(self, told: Json, request: object) -> Json:
        codes = [error["extensions"]["code"] for error in told.get("errors", ())]
        assert not MASKED.intersection(codes), (told, request)
        assert told.get("data") or codes, (told, request)
        self.codes.update(codes or ["none"])
        return told

    def close(self) -> None:
        self._http.close()
