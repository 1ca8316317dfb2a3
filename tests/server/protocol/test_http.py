"""GraphQL over HTTP, against a running server."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from app.domain.viewer import Viewer
from app.limits import TransportLimits
from app.server.errors import Unavailable
from tests.server.lines import Written
from tests.server.toy import Site, authorization, codes, site, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

GRAPHQL = "application/graphql-response+json"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running() -> AsyncIterator[Site]:
    async with site() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(running: Site) -> AsyncIterator[httpx.AsyncClient]:
    async with running.client() as client:
        yield client


async def post(client: httpx.AsyncClient, query: object, accept: str = GRAPHQL, **rest: object) -> httpx.Response:
    return await client.post("/graphql", json={"query": query, **rest}, headers={"accept": accept})


async def test_a_query_is_answered(client: httpx.AsyncClient) -> None:
    response = await post(client, "query ($name: String!) { hello(name: $name) }", variables={"name": "Ada"})
    assert response.status_code == 200
    assert response.json() == {"data": {"hello": "Hello, Ada!"}}
    assert response.headers["content-type"] == f"{GRAPHQL}; charset=utf-8"


async def test_a_mutation_is_answered(client: httpx.AsyncClient) -> None:
    assert (await post(client, 'mutation { note(text: "é") }')).json() == {"data": {"note": "é"}}


async def test_extensions_reach_the_operation(client: httpx.AsyncClient) -> None:
    response = await post(client, "{ extension }", extensions={"a": 1})
    assert response.json() == {"data": {"extension": "{'a': 1}"}}


async def test_each_operation_has_its_own_context(client: httpx.AsyncClient, running: Site) -> None:
    running.probe.contexts.clear()
    await post(client, "{ a: requestId b: requestId }")
    await post(client, "{ requestId }")
    first, second = running.probe.contexts
    assert first is not second
    assert first.request_id != second.request_id


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "application/json"),
        ("*/*", "application/json"),
        ("application/*", "application/json"),
        ("application/json", "application/json"),
        (GRAPHQL, GRAPHQL),
        (f"{GRAPHQL}, application/json", GRAPHQL),
        (f"application/json, {GRAPHQL}", "application/json"),
        (f"application/json;q=0.5, {GRAPHQL};q=0.9", GRAPHQL),
        (f"{GRAPHQL}; charset=utf-8, application/json; charset=utf-8; q=0.9", GRAPHQL),
        (f"*/*, {GRAPHQL};q=0", "application/json"),
        ("text/event-stream, application/json", "application/json"),
        ("text/html, application/json;q=x, */*;q=0.1", GRAPHQL),
    ],
)
async def test_the_type_of_the_answer_is_negotiated(client: httpx.AsyncClient, accept: str, expected: str) -> None:
    response = await post(client, "{ hello }", accept)
    assert response.headers["content-type"] == f"{expected}; charset=utf-8"


@pytest.mark.parametrize(
    "accept", ["text/html", "application/xml", "application/json;q=0", "multipart/mixed", "*/*," * 300]
)
async def test_other_media_types_are_not_acceptable(client: httpx.AsyncClient, accept: str) -> None:
    response = await post(client, "{ hello }", accept)
    assert response.status_code == 406
    assert codes(response.json()) == ["NOT_ACCEPTABLE"]


REQUEST_ERRORS: list[tuple[dict[str, Any], int, str]] = [
    ({"query": "{"}, 400, "GRAPHQL_PARSE_FAILED"),
    ({"query": ""}, 400, "GRAPHQL_PARSE_FAILED"),
    ({"query": "{ nothing }"}, 400, "GRAPHQL_VALIDATION_FAILED"),
    ({"query": "query ($unused: Int) { hello }"}, 400, "GRAPHQL_VALIDATION_FAILED"),
    ({"query": "{ twice(number: true) }"}, 400, "GRAPHQL_VALIDATION_FAILED"),
    ({"query": "query ($n: Int!) { twice(number: $n) }"}, 400, "BAD_USER_INPUT"),
    ({"query": "query ($n: Int!) { twice(number: $n) }", "variables": {"n": "x"}}, 400, "BAD_USER_INPUT"),
    ({"query": "query A { hello } query B { hello }"}, 400, "OPERATION_RESOLUTION_FAILURE"),
    ({"query": "query A { hello }", "operationName": "B"}, 400, "OPERATION_RESOLUTION_FAILURE"),
    ({"query": "fragment A on Query { hello }"}, 400, "OPERATION_RESOLUTION_FAILURE"),
    ({"query": "query A { hello } query A { hello }", "operationName": "A"}, 400, "GRAPHQL_VALIDATION_FAILED"),
]


TOO_MUCH: list[tuple[dict[str, Any], int, str]] = [
    ({"query": "{a" * 700}, 400, "QUERY_TOO_DEEP"),
    ({"query": "{a{a" + " a" * 2_000 + "}}"}, 400, "QUERY_TOO_LONG"),
    ({"query": " " * 50_000}, 400, "QUERY_TOO_LONG"),
]


@pytest.mark.parametrize(("body", "status", "code"), REQUEST_ERRORS + TOO_MUCH)
async def test_a_request_error_has_a_code_and_no_data(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, code: str
) -> None:
    response = await client.post("/graphql", json=body, headers={"accept": GRAPHQL})
    assert response.status_code == status
    assert set(codes(response.json())) == {code}
    assert "data" not in response.json()


@pytest.mark.parametrize(("body", "status", "code"), REQUEST_ERRORS)
async def test_a_client_of_plain_json_gets_200_for_a_request_error(
    client: httpx.AsyncClient, body: dict[str, Any], status: int, code: str
) -> None:
    response = await client.post("/graphql", json=body, headers={"accept": "application/json"})
    assert response.status_code == 200
    assert set(codes(response.json())) == {code}


async def test_an_operation_is_chosen_by_its_name(client: httpx.AsyncClient) -> None:
    response = await post(client, "query A { a: hello } query B { b: hello }", operationName="B")
    assert response.json() == {"data": {"b": "Hello, world!"}}


BODIES = {
    "nothing": b"",
    "null": b"null",
    "a string": b'"x"',
    "a number": b"5",
    "an array": b'[{"query": "{ hello }"}]',
    "no JSON": b"{",
    "bad UTF-8": b'{"query": "\xff"}',
    "half a character": b'{"query": "\\ud800"}',
    "a byte order mark": b'\xef\xbb\xbf{"query": "{ hello }"}',
    "deep nesting": b"[" * 50_000,
    "deep variables": b'{"query": "{ hello }", "variables": ' + b'{"a":' * 15_000 + b"1" + b"}" * 15_001,
    "no query": b"{}",
    "a query of null": b'{"query": null}',
    "a query of 1": b'{"query": 1}',
    "a name of 1": b'{"query": "{ hello }", "operationName": 1}',
    "variables of 1": b'{"query": "{ hello }", "variables": 1}',
    "variables in an array": b'{"query": "{ hello }", "variables": []}',
    "extensions of x": b'{"query": "{ hello }", "extensions": "x"}',
    "not a number": b'{"query": "{ hello }", "variables": {"a": NaN}}',
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_not_a_graphql_request_is_a_bad_request(client: httpx.AsyncClient, name: str) -> None:
    response = await client.post("/graphql", content=BODIES[name], headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert codes(response.json()) == ["BAD_REQUEST"]


async def test_null_parameters_count_as_absent(client: httpx.AsyncClient) -> None:
    response = await post(client, "{ hello }", variables=None, operationName=None, extensions=None)
    assert response.json() == {"data": {"hello": "Hello, world!"}}


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/json; charset=latin-1"],
)
async def test_only_json_is_accepted(client: httpx.AsyncClient, content_type: str) -> None:
    response = await client.post("/graphql", content=b'{"query": "{ hello }"}', headers={"content-type": content_type})
    assert response.status_code == 415
    assert codes(response.json()) == ["UNSUPPORTED_MEDIA_TYPE"]


async def test_compressed_requests_are_refused(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert (await client.post("/graphql", content=b"x", headers=headers)).status_code == 415


@pytest.mark.parametrize("content_type", ["application/json;charset=UTF-8", 'Application/JSON; charset="utf-8"'])
async def test_json_may_say_that_it_is_utf_8(client: httpx.AsyncClient, content_type: str) -> None:
    response = await client.post("/graphql", content=b'{"query": "{ hello }"}', headers={"content-type": content_type})
    assert response.status_code == 200


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_other_methods_are_not_allowed(client: httpx.AsyncClient, method: str) -> None:
    response = await client.request(method, "/graphql")
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, POST"


async def test_a_body_may_not_be_too_large(client: httpx.AsyncClient) -> None:
    response = await post(client, "{ hello }" + " " * 100_000)
    assert response.status_code == 413
    assert codes(response.json()) == ["PAYLOAD_TOO_LARGE"]


async def test_a_chunked_body_may_not_be_too_large(client: httpx.AsyncClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b" " * 10_000

    response = await client.post("/graphql", content=body(), headers={"content-type": "application/json"})
    assert response.status_code == 413


async def test_a_query_by_get(client: httpx.AsyncClient) -> None:
    params = {"query": "query A($n: Int!) { twice(number: $n) }", "variables": '{"n": 2}', "operationName": "A"}
    assert (await client.get("/graphql", params=params)).json() == {"data": {"twice": 4}}


async def test_empty_parameters_count_as_absent(client: httpx.AsyncClient) -> None:
    params = {"query": "{ hello }", "variables": "", "operationName": "", "extensions": ""}
    assert (await client.get("/graphql", params=params)).json() == {"data": {"hello": "Hello, world!"}}


@pytest.mark.parametrize("params", [{}, {"query": ""}, {"query": "{ hello }", "variables": "{"}, {"variables": "1"}])
async def test_bad_parameters_by_get(client: httpx.AsyncClient, params: dict[str, str]) -> None:
    response = await client.get("/graphql", params=params)
    assert response.status_code == 400
    assert codes(response.json()) == ["BAD_REQUEST"]


async def test_no_mutation_by_get(client: httpx.AsyncClient) -> None:
    response = await client.get("/graphql", params={"query": 'mutation { note(text: "x") }'})
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert codes(response.json()) == ["METHOD_NOT_ALLOWED"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_subscription_needs_a_stream(client: httpx.AsyncClient, method: str) -> None:
    asked = {"query": "subscription { count(to: 1) }"}
    sent: dict[str, Any] = {"params": asked} if method == "GET" else {"json": asked}
    response = await client.request(method, "/graphql", **sent)
    assert response.status_code == 406
    assert codes(response.json()) == ["NOT_ACCEPTABLE"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Basic YTpi"},
        {"authorization": "Bearer nonsense"},
        {"authorization": f"Bearer {token(ttl=-1)}"},
    ],
)
async def test_a_request_without_a_valid_token_is_refused(running: Site, headers: dict[str, str]) -> None:
    async with running.client() as client:
        del client.headers["authorization"]
        response = await client.post("/graphql", json={"query": "{ hello }"}, headers=headers)
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert codes(response.json()) == ["UNAUTHENTICATED"]


async def test_the_scheme_may_be_written_in_any_case(client: httpx.AsyncClient) -> None:
    response = await client.post(
        "/graphql", json={"query": "{ viewer }"}, headers={"authorization": f"bEARER {token()}"}
    )
    assert response.json() == {"data": {"viewer": "alice"}}


async def test_a_fault_is_masked_and_logged(client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    response = await client.post("/graphql", json={"query": "query Look { broken }"}, headers={"x-request-id": "abc-1"})
    error = {"code": "INTERNAL_SERVER_ERROR", "requestId": "abc-1"}
    assert response.status_code == 200
    assert response.json()["data"] == {"broken": None}
    assert response.json()["errors"][0]["message"] == "Internal server error"
    assert response.json()["errors"][0]["path"] == ["broken"]
    assert response.json()["errors"][0]["extensions"] == error
    record = next(record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.exc_info
    assert isinstance(record.exc_info[1], ValueError)
    assert record.__dict__["request_id"] == "abc-1"


async def test_a_value_that_can_not_be_serialized_is_an_internal_error(client: httpx.AsyncClient) -> None:
    response = await post(client, "{ tooBig }")
    assert codes(response.json()) == ["INTERNAL_SERVER_ERROR"]
    assert str(2**40) not in response.text


async def test_data_that_an_error_made_null_is_still_data(client: httpx.AsyncClient) -> None:
    response = await post(client, "{ brokenForGood }")
    assert response.status_code == 200
    assert response.json()["data"] is None


async def test_an_error_with_a_code_is_shown(client: httpx.AsyncClient) -> None:
    response = await post(client, "{ forbidden }")
    assert response.json()["errors"][0]["message"] == "Not you"
    assert codes(response.json()) == ["FORBIDDEN"]


async def test_a_null_for_a_variable_with_a_default_is_bad_user_input(client: httpx.AsyncClient) -> None:
    response = await post(client, 'query ($name: String = "x") { hello(name: $name) }', variables={"name": None})
    assert codes(response.json()) == ["BAD_USER_INPUT"]


async def test_clients_errors_are_logged_without_what_they_sent(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "app")
    query = "query ($n: Int!) { twice(number: $n) }"
    await post(client, query, variables={"n": "a note that nobody else should read"})
    records = [record for record in caplog.records if record.name.startswith("app")]
    assert [(record.levelno, record.__dict__["codes"]) for record in records] == [(logging.INFO, ["BAD_USER_INPUT"])]
    assert "nobody else" not in caplog.text


async def test_a_valid_request_id_is_kept(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json={"query": "{ requestId }"}, headers={"x-request-id": "Ab_1.2-3"})
    assert response.headers["x-request-id"] == "Ab_1.2-3"
    assert response.json() == {"data": {"requestId": "Ab_1.2-3"}}


@pytest.mark.parametrize("given", ["", "a b", "x" * 129, '"<script>"'])
async def test_an_invalid_request_id_is_replaced(client: httpx.AsyncClient, given: str) -> None:
    response = await client.post("/graphql", json={"query": "{ hello }"}, headers={"x-request-id": given})
    assert len(response.headers["x-request-id"]) == 32


async def test_transport_errors_have_a_request_id_too(client: httpx.AsyncClient) -> None:
    assert (await client.put("/graphql", headers={"x-request-id": "abc"})).headers["x-request-id"] == "abc"


async def test_a_query_stops_when_the_client_leaves(client: httpx.AsyncClient, running: Site) -> None:
    asking = asyncio.create_task(post(client, "{ slow }"))
    await running.probe.until("slow began")
    asking.cancel()
    await running.probe.until("slow cancelled")


async def test_a_mutation_goes_on_when_the_client_leaves() -> None:
    async with site() as running, running.client() as client:
        asking = asyncio.create_task(post(client, "mutation { slowNote }"))
        await running.probe.until("slowNote began")
        asking.cancel()
        await asyncio.wait([asking])
        running.probe.gate.set()
        await running.probe.until("slowNote done")
        assert running.probe.seen["slowNote cancelled"] == 0


@pytest.mark.parametrize("query", ["{ slow }", "mutation { slowNote }"])
async def test_an_operation_may_not_take_too_long(query: str) -> None:
    async with site(TransportLimits(operation_seconds=0.05)) as running, running.client() as client:
        response = await post(client, query, "application/json")
    assert response.status_code == 503
    assert codes(response.json()) == ["EXECUTION_TIMEOUT"]
    assert "data" not in response.json()


async def test_a_body_may_not_take_too_long() -> None:
    async with site(TransportLimits(operation_seconds=0.05)) as running:
        reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
        lines = ["POST /graphql HTTP/1.1", "Host: x", f"Authorization: Bearer {token()}", "Content-Length: 9"]
        writer.write("\r\n".join([*lines, "Content-Type: application/json", "", "{"]).encode())
        assert await reader.readline() == b"HTTP/1.1 408 Request Timeout\r\n"
        writer.close()
        await writer.wait_closed()


async def test_get_can_be_turned_off() -> None:
    async with site(TransportLimits(allow_get=False)) as running, running.client() as client:
        response = await client.get("/graphql", params={"query": "{ hello }"})
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("query", "accept", "status"),
    [
        ("{", GRAPHQL, 400),
        ("{ nothing }", GRAPHQL, 422),
        ("{ nothing }", "application/json", 422),
        ("query ($n: Int!) { twice(number: $n) }", GRAPHQL, 422),
        ("query A { hello } query B { hello }", GRAPHQL, 422),
        ("{ hello forbidden }", GRAPHQL, 294),
        ("{ hello forbidden }", "application/json", 200),
        ("{ hello }", GRAPHQL, 200),
    ],
)
async def test_the_draft_of_2026_can_be_chosen(query: str, accept: str, status: int) -> None:
    async with site(TransportLimits(http_draft=True)) as running, running.client() as client:
        assert (await post(client, query, accept)).status_code == status


async def test_the_draft_tells_bad_parameters_from_bad_json() -> None:
    async with site(TransportLimits(http_draft=True)) as running, running.client() as client:
        assert (await client.post("/graphql", json={"query": 1})).status_code == 422
        assert (await client.post("/graphql", json=[])).status_code == 422
        json_type = {"content-type": "application/json"}
        assert (await client.post("/graphql", content=b"{", headers=json_type)).status_code == 400


PREFLIGHT = {
    "origin": "https://app.example",
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization, content-type",
}


async def test_other_origins_are_refused_by_default(client: httpx.AsyncClient) -> None:
    response = await client.post("/graphql", json={"query": "{ hello }"}, headers={"origin": "https://app.example"})
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("origin", "logged"),
    [
        ("https://app.example", "https://app.example"),
        ("https://user:pw@app.example/path?token=x", "https://app.example"),
        ("null", "null"),
    ],
)
async def test_the_log_names_the_setting_that_lets_a_refused_page_call(
    running: Site, client: httpx.AsyncClient, written: Written, origin: str, logged: str
) -> None:
    before = running.turned_away("ORIGIN_NOT_ALLOWED")
    preflight = await client.options("/graphql", headers=PREFLIGHT | {"origin": origin})
    assert preflight.status_code == 400
    assert running.turned_away("ORIGIN_NOT_ALLOWED") == before + 1
    assert (written.lines[-1]["outcome"], written.lines[-1]["origin"]) == ("ORIGIN_NOT_ALLOWED", logged)
    assert "TRANSFERS_ALLOWED_ORIGINS" in written.lines[-1]["hint"]


async def test_a_page_may_send_what_clients_and_tracing_add_and_no_more(written: Written) -> None:
    added = "apollographql-client-name, apollographql-client-version, apollo-require-preflight"
    traced = "traceparent, tracestate, baggage"
    asked = [PREFLIGHT | {"access-control-request-headers": names} for names in (added, traced, "x-made-up")]
    async with site(TransportLimits(allowed_origins=("https://app.example",))) as running, running.client() as client:
        answers = [await client.options("/graphql", headers=headers) for headers in asked]
    assert [answer.status_code for answer in answers] == [200, 200, 400]
    assert (written.lines[-1]["outcome"], written.lines[-1]["asked"]) == ("PREFLIGHT_REFUSED", "POST x-made-up")


async def test_a_page_can_read_how_long_to_wait() -> None:
    async def authenticate(token: str) -> Viewer:
        raise Unavailable("Later")

    limits = TransportLimits(allowed_origins=("https://app.example",))
    async with site(limits, authenticate=authenticate) as running, running.client() as client:
        answer = await client.post("/graphql", json={}, headers={"origin": "https://app.example"})
    assert answer.headers["retry-after"] == "1"
    assert "Retry-After" in answer.headers["access-control-expose-headers"]


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:5173", 200),
        ("http://127.0.0.1:3000", 200),
        ("http://[::1]:4321", 200),
        ("https://localhost", 200),
        ("http://localhost.evil.example", 400),
        ("http://127.0.0.1.evil.example", 400),
        ("http://192.168.0.7:5173", 400),
        ("ftp://localhost", 400),
        ("null", 400),
    ],
)
async def test_pages_of_loopback_origins_can_be_allowed(origin: str, status: int) -> None:
    async with site(TransportLimits(loopback_origins=True)) as running, running.client() as client:
        preflight = await client.options("/graphql", headers=PREFLIGHT | {"origin": origin})
        unsigned = await client.post("/graphql", json={}, headers={"origin": origin, "authorization": ""})
    assert preflight.status_code == status
    assert preflight.headers.get("access-control-allow-origin") == (origin if status == 200 else None)
    assert unsigned.status_code == 401


async def test_listed_origins_are_allowed() -> None:
    async with site(TransportLimits(allowed_origins=("https://app.example",))) as running, running.client() as client:
        preflight = await client.options("/graphql", headers=PREFLIGHT)
        refused = await client.post("/graphql", json={}, headers={"origin": "https://app.example", "authorization": ""})
        other = await client.options("/graphql", headers=PREFLIGHT | {"origin": "https://evil.example"})
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "https://app.example"
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://app.example"
    assert "access-control-allow-origin" not in other.headers


async def test_a_client_should_try_again_when_keys_are_unavailable() -> None:
    async def authenticate(token: str) -> Viewer:
        raise Unavailable("Later")

    async with site(authenticate=authenticate) as running, running.client() as client:
        response = await post(client, "{ hello }")
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    assert codes(response.json()) == ["SERVICE_UNAVAILABLE"]


async def test_a_fault_of_the_transport_is_masked(caplog: pytest.LogCaptureFixture) -> None:
    async def authenticate(token: str) -> Viewer:
        raise ZeroDivisionError("a secret in a message")

    async with site(authenticate=authenticate) as running, running.client() as client:
        response = await post(client, "{ hello }")
    assert response.status_code == 500
    assert codes(response.json()) == ["INTERNAL_SERVER_ERROR"]
    assert json.loads(response.text)["errors"][0]["extensions"]["requestId"] == response.headers["x-request-id"]
    assert any(record.levelno == logging.ERROR for record in caplog.records)


async def test_only_the_authorization_header_authenticates(running: Site) -> None:
    async with httpx.AsyncClient(base_url=running.url, verify=False) as client:
        by_header = await client.get("/graphql", params={"query": "{ hello }"}, headers=authorization())
        by_cookie = await client.get("/graphql", params={"query": "{ hello }"}, headers={"cookie": f"token={token()}"})
    assert by_header.status_code == 200
    assert by_cookie.status_code == 401
