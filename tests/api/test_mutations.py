"""Payloads: the present state, the reasons of a refusal, and who may see them. tests/stories has whole lives."""

from dataclasses import replace
from typing import Any

import pytest

from app.api.context import Context
from app.domain.transfer import Status
from app.domain.viewer import Permission
from app.ports import NoSuchCall, NotNow, SimulatedCall
from tests.api.archive import OTHER_CUSTOMER, SCHEMA, Archive, statements
from tests.builders import BRIDGE, CUSTOMER, HELD, NOON, TRANSFER, TRANSFERER, bridge, call, transfer, uid, viewer

PAYLOAD = (
    "transfer { id version status note metadata { key value } } userErrors { code field retryable transfer { id } }"
)
WRITES_ONLY = viewer(CUSTOMER, Permission.TRANSFERS_WRITE)
READS_ONLY = viewer(CUSTOMER, Permission.TRANSFERS_READ, Permission.CALLS_READ)
COMMANDS = ["complete", "cancel", "merge", "delete"]


def command(verb: str, fields: str = PAYLOAD) -> str:
    return f"mutation ($input: {verb.title()}TransferInput!) {{ it: {verb}Transfer(input: $input) {{ {fields} }} }}"


async def start(archive: Archive, **changes: Any) -> Any:
    given = {
        "type": "ATTENDED",
        "transfererCallId": TRANSFERER,
        "transfereeAddresses": [{"type": "TEL", "target": "+1 555 000 0199"}],
    }
    return (await archive.ask(command("start"), input=given | changes))["it"]


async def test_a_start_answers_with_the_transfer(archive: Archive) -> None:
    await archive.keep(call(), call(HELD), bridge())
    started = await start(archive, note="", metadata=[{"key": "ticket", "value": "7"}])
    assert started["userErrors"] == []
    assert (started["transfer"]["version"], started["transfer"]["status"]) == (1, "STARTING")
    assert (started["transfer"]["note"], started["transfer"]["metadata"]) == ("", [{"key": "ticket", "value": "7"}])


async def test_a_start_that_is_refused_names_the_transfer_in_the_way(archive: Archive) -> None:
    await archive.keep(call(), call(HELD), bridge(), transfer())
    assert await start(archive) == {
        "transfer": None,
        "userErrors": [
            {
                "code": "ALREADY_TRANSFERRING",
                "field": ["input", "transfererCallId"],
                "retryable": True,
                "transfer": {"id": TRANSFER},
            }
        ],
    }


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"transfererCallId": uid("nobody")}, "NOT_FOUND", ["input", "transfererCallId"]),
        ({"transfereeAddresses": []}, "NO_ADDRESS", ["input", "transfereeAddresses"]),
        ({"ringTimeout": 0}, "OUT_OF_RANGE", ["input", "ringTimeout"]),
        ({"consultTimeout": 0}, "OUT_OF_RANGE", ["input", "consultTimeout"]),
        ({"idempotencyKey": ""}, "INVALID_INPUT", ["input", "idempotencyKey"]),
        (
            {"transfereeAddresses": [{"type": "TEL", "target": "+15550000199"}, {"type": "SIP", "target": "x"}]},
            "INVALID_ADDRESS",
            ["input", "transfereeAddresses", "1", "target"],
        ),
    ],
)
async def test_a_refusal_points_at_the_input(
    archive: Archive, changes: dict[str, Any], code: str, field: list[str]
) -> None:
    await archive.keep(call(), call(HELD), bridge())
    refused = await start(archive, **changes)
    assert refused["transfer"] is None
    assert [(error["code"], error["field"]) for error in refused["userErrors"]] == [(code, field)]


SPOILED: dict[str, Any] = {
    "transfereeAddresses": [
        {"type": "TEL", "target": "+15550000199"},
        {"type": "SIP", "target": "nobody", "name": "a\nb"},
        {"type": "EMAIL", "target": "a@b"},
        {"type": "TEL", "target": "+1 555 0000199"},
    ],
    "ringTimeout": 0,
    "consultTimeout": 601,
    "note": "x" * 2001,
    "metadata": [{"key": "", "value": "x" * 513}, {"key": "a", "value": ""}, {"key": "a", "value": ""}],
}


async def test_a_refusal_names_everything_that_is_wrong_with_the_form(archive: Archive) -> None:
    """The call can't be transferred either, but that is checked in the database, and only once the form is right."""
    with statements() as asked:
        refused = await start(archive, **SPOILED)
    assert asked == []
    assert [(error["code"], *error["field"][1:]) for error in refused["userErrors"]] == [
        ("INVALID_ADDRESS", "transfereeAddresses", "1", "target"),
        ("INVALID_ADDRESS", "transfereeAddresses", "1", "name"),
        ("NOT_DIALABLE", "transfereeAddresses", "2", "type"),
        ("INVALID_ADDRESS", "transfereeAddresses", "3"),
        ("OUT_OF_RANGE", "ringTimeout"),
        ("OUT_OF_RANGE", "consultTimeout"),
        ("INVALID_INPUT", "note"),
        ("INVALID_INPUT", "metadata"),
        ("INVALID_INPUT", "metadata", "0", "key"),
        ("INVALID_INPUT", "metadata", "0", "value"),
    ]
    refused = await start(archive, **SPOILED, idempotencyKey="")
    assert len(refused["userErrors"]) == 11


async def test_a_key_that_has_started_another_transfer_is_told_before_the_form(archive: Archive) -> None:
    await archive.keep(call(), call(HELD), bridge())
    assert (await start(archive, idempotencyKey="once"))["userErrors"] == []
    refused = await start(archive, **SPOILED, idempotencyKey="once")
    assert [error["code"] for error in refused["userErrors"]] == ["IDEMPOTENCY_CONFLICT"]


async def test_an_update_names_everything_that_is_wrong_with_its_form(archive: Archive) -> None:
    await archive.keep(transfer())
    given = {"transferId": TRANSFER, "note": SPOILED["note"], "metadata": SPOILED["metadata"]}
    refused = (await archive.ask(command("update"), input=given))["it"]
    assert [error["field"][1] for error in refused["userErrors"]] == ["note"] + ["metadata"] * 3


@pytest.mark.parametrize(
    "changes", [{"ringMethod": "UNKNOWN"}, {"transfereeAddresses": [{"type": "UNKNOWN", "target": "x"}]}]
)
async def test_nobody_can_ask_for_the_unknown(archive: Archive, changes: dict[str, Any]) -> None:
    given = {"type": "BLIND", "transfererCallId": TRANSFERER, "transfereeAddresses": []} | changes
    assert await archive.codes(command("start"), input=given) == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("verb", COMMANDS)
async def test_a_refused_command_shows_the_present_state(archive: Archive, verb: str) -> None:
    await archive.keep(transfer(Status.RINGING if verb in ("merge", "delete") else Status.FAILED))
    refused = (await archive.ask(command(verb), input={"transferId": TRANSFER}))["it"]
    assert refused["transfer"]["id"] == TRANSFER
    assert [(error["code"], error["field"]) for error in refused["userErrors"]] == [
        ("ILLEGAL_TRANSITION", ["input", "transferId"])
    ]


@pytest.mark.parametrize("verb", COMMANDS)
@pytest.mark.parametrize(("who", "id_"), [(OTHER_CUSTOMER, TRANSFER), (viewer(), uid("nobody")), (viewer(), "x\0")])
async def test_anothers_transfer_is_not_found(archive: Archive, verb: str, who: Any, id_: str) -> None:
    await archive.keep(transfer())
    refused = (await archive.ask(command(verb), who, input={"transferId": id_}))["it"]
    assert refused["transfer"] is None
    assert [error["code"] for error in refused["userErrors"]] == ["NOT_FOUND"]


@pytest.mark.parametrize("verb", [*COMMANDS, "update"])
async def test_commands_need_their_permission(archive: Archive, verb: str) -> None:
    await archive.keep(transfer())
    answer = await archive.answer(command(verb), READS_ONLY, input={"transferId": TRANSFER})
    assert answer.data == {"it": None}
    assert [error.extensions for error in answer.errors] == [{"code": "FORBIDDEN"}]


async def test_who_may_not_read_transfers_sees_none_in_payloads(archive: Archive) -> None:
    await archive.keep(call(), call(HELD), bridge(), transfer())
    done = (await archive.ask(command("cancel"), WRITES_ONLY, input={"transferId": TRANSFER}))["it"]
    assert done == {"transfer": None, "userErrors": []}
    refused = (await archive.ask(command("delete"), WRITES_ONLY, input={"transferId": TRANSFER}))["it"]
    assert refused["transfer"] is None
    assert [(error["code"], error["transfer"]) for error in refused["userErrors"]] == [("ILLEGAL_TRANSITION", None)]


@pytest.mark.parametrize(
    ("given", "note", "metadata"),
    [
        ({}, "old", [{"key": "a", "value": "b"}]),
        ({"note": None}, None, [{"key": "a", "value": "b"}]),
        ({"note": "new"}, "new", [{"key": "a", "value": "b"}]),
        ({"metadata": None}, "old", []),
        ({"metadata": [{"key": "c", "value": ""}], "note": ""}, "", [{"key": "c", "value": ""}]),
    ],
)
async def test_an_update_keeps_what_is_left_out_and_clears_what_is_null(
    archive: Archive, given: dict[str, Any], note: str | None, metadata: list[dict[str, str]]
) -> None:
    await archive.keep(transfer(note="old", metadata={"a": "b"}))
    updated = (await archive.ask(command("update"), input={"transferId": TRANSFER} | given))["it"]
    assert updated["userErrors"] == []
    assert (updated["transfer"]["note"], updated["transfer"]["metadata"]) == (note, metadata)


async def test_a_note_that_is_too_long_is_refused_with_the_present_state(archive: Archive) -> None:
    await archive.keep(transfer(note="old"))
    refused = (await archive.ask(command("update"), input={"transferId": TRANSFER, "note": "x" * 2001}))["it"]
    assert refused["transfer"]["note"] == "old"
    assert [(error["code"], error["field"]) for error in refused["userErrors"]] == [
        ("INVALID_INPUT", ["input", "note"])
    ]


async def test_deleting_names_what_was_deleted(archive: Archive) -> None:
    await archive.keep(transfer(Status.FAILED))
    delete = command("delete", "deletedTransferId transfer { isDeleted } userErrors { code }")
    for _ in range(2):
        deleted = (await archive.ask(delete, input={"transferId": TRANSFER}))["it"]
        assert deleted == {"deletedTransferId": TRANSFER, "transfer": {"isDeleted": True}, "userErrors": []}
    nothing = (await archive.ask(delete, input={"transferId": uid("nobody")}))["it"]
    assert nothing == {"deletedTransferId": None, "transfer": None, "userErrors": [{"code": "NOT_FOUND"}]}


async def test_mutations_of_one_request_see_what_came_before(archive: Archive) -> None:
    await archive.keep(transfer(note="old"))
    document = """mutation ($id: ID!) {
        a: updateTransfer(input: {transferId: $id, note: "one"}) { transfer { ...Seen } }
        b: updateTransfer(input: {transferId: $id, note: "two"}) { transfer { ...Seen } }
        c: mergeTransfer(input: {transferId: $id}) { transfer { ...Seen } }
    }
    fragment Seen on Transfer { note events { nodes { transfer { note } } } }"""
    seen = await archive.ask(document, id=TRANSFER)
    assert [seen[part]["transfer"]["note"] for part in "abc"] == ["one", "two", "two"]
    assert [seen[part]["transfer"]["events"]["nodes"][-1]["transfer"]["note"] for part in "abc"] == [
        "one",
        "two",
        "two",
    ]


class Toy:
    """A simulation that refuses everything but calls."""

    async def call(self, *_: Any) -> SimulatedCall:
        return SimulatedCall(TRANSFERER, HELD, BRIDGE)

    async def answer(self, customer_id: str, call_id: str) -> None:
        raise NoSuchCall

    async def reject(self, customer_id: str, call_id: str, reason: object) -> None:
        raise NotNow("It does not ring.")

    async def hang_up(self, customer_id: str, call_id: str) -> None:
        return None

    async def hold(self, customer_id: str, call_id: str, **_: Any) -> None:
        return None


async def simulate(archive: Archive, what: str, fields: str, simulation: Toy | None, given: dict[str, Any]) -> Any:
    context = Context(viewer(), "request", replace(archive.services, simulation=simulation))
    document = f"mutation ($input: Simulate{what}Input!) {{ it: simulate{what}(input: $input) {{ {fields} }} }}"
    result = await SCHEMA.execute(document, variable_values={"input": given}, context_value=context)
    assert not result.errors, result.errors
    assert result.data
    return result.data["it"]


TALKERS = {"caller": {"type": "TEL", "target": "+15550000001"}, "agent": {"type": "AGENT", "target": uid("agent")}}
SIMULATIONS: list[tuple[str, dict[str, Any]]] = [
    ("Answer", {}),
    ("Reject", {"reason": "BUSY"}),
    ("Hangup", {}),
    ("Hold", {"isOnHold": True}),
]


@pytest.mark.parametrize(("what", "given"), SIMULATIONS)
async def test_a_real_exchange_can_not_be_simulated(archive: Archive, what: str, given: dict[str, Any]) -> None:
    await archive.keep(call())
    fields = "call { id } userErrors { code field }"
    refused = await simulate(archive, what, fields, None, {"callId": TRANSFERER} | given)
    assert refused == {"call": {"id": TRANSFERER}, "userErrors": [{"code": "NOT_SIMULATED", "field": None}]}


@pytest.mark.parametrize(
    ("what", "given", "errors"),
    [
        ("Answer", {}, [{"code": "NOT_FOUND", "message": "No such call.", "field": ["input", "callId"]}]),
        (
            "Reject",
            {"reason": "BUSY"},
            [{"code": "INVALID_INPUT", "message": "It does not ring.", "field": ["input", "callId"]}],
        ),
        ("Hangup", {}, []),
    ],
)
async def test_what_a_telephone_can_not_do_is_a_user_error(
    archive: Archive, what: str, given: dict[str, Any], errors: list[dict[str, Any]]
) -> None:
    await archive.keep(call())
    fields = "call { id } userErrors { code message field }"
    done = await simulate(archive, what, fields, Toy(), {"callId": TRANSFERER} | given)
    assert done == {"call": {"id": TRANSFERER}, "userErrors": errors}


async def test_a_simulated_call_answers_with_its_parties(archive: Archive) -> None:
    await archive.keep(call(), call(HELD), bridge())
    fields = "callerCall { id } agentCall { id } conference { id } userErrors { code field }"
    assert await simulate(archive, "Call", fields, Toy(), TALKERS) == {
        "callerCall": {"id": TRANSFERER},
        "agentCall": {"id": HELD},
        "conference": {"id": BRIDGE},
        "userErrors": [],
    }
    given = TALKERS | {"agent": {"type": "TEL", "target": "1"}, "parties": [{"type": "EMAIL", "target": "x"}]}
    assert await simulate(archive, "Call", fields, Toy(), given) == {
        "callerCall": None,
        "agentCall": None,
        "conference": None,
        "userErrors": [
            {"code": "INVALID_ADDRESS", "field": ["input", "agent", "target"]},
            {"code": "NOT_DIALABLE", "field": ["input", "parties", "0", "type"]},
        ],
    }
    given = TALKERS | {"parties": [{"type": "TEL", "target": f"+155500010{n}"} for n in range(21)]}
    refused = await simulate(archive, "Call", fields, Toy(), given)
    assert refused["userErrors"] == [{"code": "INVALID_INPUT", "field": ["input", "parties"]}]


@pytest.mark.parametrize(("what", "given"), [*SIMULATIONS, ("Call", TALKERS)])
async def test_simulations_need_their_permission(archive: Archive, what: str, given: dict[str, Any]) -> None:
    document = f"mutation ($input: Simulate{what}Input!) {{ it: simulate{what}(input: $input) {{ __typename }} }}"
    given = given if what == "Call" else {"callId": TRANSFERER} | given
    assert await archive.codes(document, viewer(CUSTOMER, Permission.CALLS_READ), input=given) == ["FORBIDDEN"]


async def test_a_moment_is_kept_to_the_microsecond(archive: Archive) -> None:
    await archive.keep(transfer(tm_create=NOON.replace(microsecond=1)))
    found = await archive.ask("{ transfers { nodes { tmCreate } } }")
    assert found["transfers"]["nodes"] == [{"tmCreate": "2026-03-01T12:00:00.000001Z"}]


async def test_a_year_has_four_digits(archive: Archive) -> None:
    long_ago = NOON.replace(year=900)
    await archive.keep(transfer(tm_create=long_ago))
    found = await archive.ask('{ transfers(filter: {tmCreateBefore: "0901-01-01T00:00:00Z"}) { nodes { tmCreate } } }')
    assert found["transfers"]["nodes"] == [{"tmCreate": "0900-03-01T12:00:00.000000Z"}]
