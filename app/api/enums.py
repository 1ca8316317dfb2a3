"""The public names and descriptions of the enums, and the enums that only the API has."""

from enum import Enum, StrEnum

import strawberry

from app.domain.addresses import AddressType
from app.domain.calls import (
    CallDirection,
    CallHangupBy,
    CallHangupReason,
    CallStatus,
    ConferenceStatus,
    ConferenceType,
    GroupcallStatus,
    MuteDirection,
    RingMethod,
)
from app.domain.events import EventKind
from app.domain.refusals import RefusalCode
from app.domain.steps import Trigger
from app.domain.transfer import (
    DialOutcome,
    Disposition,
    FailurePolicy,
    Outcome,
    Party,
    Reason,
    SpeakingTo,
    Status,
    Type,
)
from app.domain.viewer import Permission
from app.ports import Rejection


class TransferCommand(StrEnum):
    COMPLETE = "COMPLETE"
    CANCEL = "CANCEL"
    SWAP = "SWAP"
    MERGE = "MERGE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


COMMANDS = {
    Trigger.COMPLETE: TransferCommand.COMPLETE,
    Trigger.CANCEL: TransferCommand.CANCEL,
    Trigger.SWAP_TO_HELD: TransferCommand.SWAP,
    Trigger.SWAP_TO_DESTINATION: TransferCommand.SWAP,
    Trigger.MERGE: TransferCommand.MERGE,
    Trigger.UPDATE: TransferCommand.UPDATE,
    Trigger.DELETE: TransferCommand.DELETE,
}


class TransferSide(StrEnum):
    HELD = "HELD"
    DESTINATION = "DESTINATION"


class OrderDirection(StrEnum):
    ASC = "ASC"
    DESC = "DESC"


class CallChangeKind(StrEnum):
    PRESENT = "PRESENT"
    READY = "READY"
    CHANGED = "CHANGED"
    GONE = "GONE"


def _public(enum: type[Enum], name: str, description: str, **values: str) -> None:
    """Publish an enum. A value without a description is a KeyError at import."""
    strawberry.enum(enum, name=name, description=description)
    for value in vars(enum)["__strawberry_definition__"].values:
        value.description = values[value.name]


UNKNOWN = "A value from the telephone exchange that this version does not know. Refused on input."

_public(
    Permission,
    "Permission",
    "What a token may do.",
    TRANSFERS_READ="Read transfers, their events and their counts, and subscribe to them.",
    TRANSFERS_WRITE="Start transfers and send commands to them.",
    CALLS_READ="Read calls, groupcalls and conferences, follow links to them, and subscribe to calls.",
    SIMULATE="Use the `simulate…` mutations of the simulator.",
)
_public(
    Type,
    "TransferType",
    "The two ways to transfer a call.",
    ATTENDED="With consultation: the transferer speaks with the destination first, while the held parties wait "
    "on hold (CSTA: Consultation Call, then Transfer Call).",
    BLIND="Without consultation: the transferer leaves as soon as the destination rings (CSTA: Single Step "
    "Transfer Call).",
)
_public(
    Status,
    "TransferStatus",
    "The status of a transfer. The last four are final: they are set once the telephone exchange has "
    "confirmed that every party is where it belongs. All others are live.",
    STARTING="The telephone exchange has been asked to dial the destination and, if attended, to put the held "
    "parties on hold.",
    RINGING="Attended: the destination rings. The held parties wait on hold, and the transferer waits.",
    CONSULTING="Attended: the destination has answered. `speakingTo` says whom the transferer speaks with.",
    MERGED="Attended: the transferer, the held parties and the destination all speak with each other.",
    TRANSFERRING="The transferer has left. The destination rings, and the held parties hear ringback.",
    RECALLING="The destination was not reached. The transferer is being rung back, so that nobody is left alone.",
    ENDING="The outcome is decided: see `outcome`. The telephone exchange has not confirmed everything yet.",
    COMPLETED="The held parties and the destination are connected. The transferer has left.",
    CANCELLED="Cancelled by a command. The transferer and the held parties are connected as before.",
    FAILED="The destination was not reached or was lost, or the telephone exchange failed: see "
    "`outcomeReason` and `disposition`.",
    ABANDONED="The last held party hung up before the transfer was completed.",
)
_public(
    Outcome,
    "TransferOutcome",
    "How a transfer ends. It is decided before the status becomes final.",
    COMPLETED="The held parties and the destination are connected.",
    CANCELLED="Cancelled by a command.",
    FAILED="The destination was not reached or was lost, or the telephone exchange failed.",
    ABANDONED="The last held party hung up before the transfer was completed.",
)
_public(
    Reason,
    "TransferOutcomeReason",
    "Why a transfer was not completed.",
    BUSY="The destination was busy.",
    NO_ANSWER="The destination's side stopped ringing without an answer.",
    DECLINED="The destination declined the call.",
    UNREACHABLE="The destination could not be rung: it is unknown or switched off, or the network failed.",
    TIMEOUT="The destination rang for `ringTimeout` seconds without an answer.",
    CONSULT_TIMEOUT="The consultation lasted for `consultTimeout` seconds.",
    DESTINATION_HANGUP="The destination answered and hung up before the transfer was completed.",
    HELD_HANGUP="The last held party hung up.",
    COMMAND="A client cancelled the transfer.",
    BRIDGE_LOST="The bridge that connected the parties ended.",
    ENGINE_ERROR="The telephone exchange refused an order, or did not carry it out.",
)
_public(
    Disposition,
    "TransferDisposition",
    "What became of the held parties when a transfer failed.",
    RETURNED="The held parties speak with the transferer, who had not left.",
    RECALLED="The transferer had left, was rung back, and speaks with the held parties.",
    RELEASED="The transferer has left. A held party who was left alone was hung up. Several held parties stay "
    "connected.",
)
_public(
    Party,
    "TransferParty",
    "A party of a transfer, or another cause of a change.",
    TRANSFERER="The party who is on the call and transfers it (RFC 5589: transferor).",
    HELD="A party who is on the call and is transferred (RFC 5589: transferee).",
    DESTINATION="The party who is dialled and takes the call over (RFC 5589: transfer target).",
    CLIENT="A user of this API, by a command.",
    SYSTEM="The server or the telephone exchange, by a timer or a fault.",
)
_public(
    SpeakingTo,
    "TransferSpeakingTo",
    "Whom the transferer speaks with.",
    DESTINATION="The destination, in private. The held parties wait on hold.",
    HELD="The held parties. The destination waits on hold.",
    ALL="All parties: a three-way call.",
    NONE="Nobody: no destination has answered yet, or the transferer has left.",
)
_public(
    FailurePolicy,
    "TransferFailurePolicy",
    "What happens to the held parties if the transferer has left and no destination answers.",
    RETURN_TO_TRANSFERER="The transferer is rung back and speaks with the held parties again.",
    RELEASE="The held parties are released: one who is left alone is hung up, and several stay connected.",
)
_public(
    TransferCommand,
    "TransferCommand",
    "The commands to a transfer. Each is a mutation.",
    COMPLETE="`completeTransfer`. CSTA calls it Transfer Call.",
    CANCEL="`cancelTransfer`. CSTA calls it Reconnect Call.",
    SWAP="`swapTransfer`. CSTA calls it Alternate Call.",
    MERGE="`mergeTransfer`. CSTA calls it Conference Call.",
    UPDATE="`updateTransfer`.",
    DELETE="`deleteTransfer`.",
)
_public(
    TransferSide,
    "TransferSide",
    "The side that the transferer is to speak with.",
    HELD="The held parties. The destination waits on hold.",
    DESTINATION="The destination. The held parties wait on hold.",
)
_public(
    RingMethod,
    "RingMethod",
    "How several destinations are rung.",
    RING_ALL="All at once. The first to answer gets the call.",
    LINEAR="One after the other in the given order, each for `ringTimeout` seconds.",
    UNKNOWN=UNKNOWN,
)
_public(
    DialOutcome,
    "DialOutcome",
    "The result of an attempt to dial a destination.",
    PENDING="The destination is being dialled and does not ring yet.",
    RINGING="The destination rings.",
    ANSWERED="The destination answered and got the call.",
    BUSY="The destination was busy.",
    NO_ANSWER="The destination's side stopped ringing without an answer.",
    DECLINED="The destination declined the call.",
    UNREACHABLE="The destination could not be rung.",
    TIMEOUT="The destination rang for `ringTimeout` seconds without an answer.",
    CANCELLED="The transfer ended before the destination answered.",
    ANSWERED_ELSEWHERE="Another destination answered first.",
)
_public(
    EventKind,
    "TransferEventKind",
    "What an event changed.",
    STARTED="The transfer was started. This is its first event.",
    STATUS="The status changed.",
    SPEAKING_TO="`speakingTo` changed.",
    ATTEMPT="An attempt to dial a destination or the transferer began or changed, or its timer did.",
    UPDATED="The note, the metadata or the held parties changed.",
    DELETED="The transfer was deleted.",
)
_public(
    AddressType,
    "AddressType",
    "The kind of an address. Only `TEL`, `SIP`, `AGENT` and `EXTENSION` can be dialled. Others are "
    "refused with `NOT_DIALABLE`.",
    TEL="A telephone number in E.164: `+` and 7 to 15 digits.",
    SIP="A SIP address: `user@host`.",
    AGENT="An agent, by UUID.",
    EXTENSION="An extension, by number or UUID. `targetName` is the routing key if it is given.",
    CONFERENCE="A conference room. Not dialable.",
    LINE="A contact of the messenger LINE. Not dialable.",
    EMAIL="An e-mail address. Not dialable.",
    WHATSAPP="A contact of WhatsApp. Not dialable.",
    WEBCHAT="A chat on a web page. Not dialable.",
    WEB_SESSION="A visitor of a web page. Not dialable.",
    AI="An AI agent. Not dialable.",
    AI_TEAM="A team of AI agents. Not dialable.",
    UNKNOWN=UNKNOWN,
)
_public(
    CallStatus,
    "CallStatus",
    "The status of a call.",
    DIALING="The call is being set up. Nothing rings yet.",
    RINGING="The call rings.",
    PROGRESSING="The call was answered and is up.",
    TERMINATING="The call is being hung up.",
    CANCELING="The call is being cancelled before an answer.",
    HANGUP="The call has ended.",
    UNKNOWN=UNKNOWN,
)
_public(
    CallDirection,
    "CallDirection",
    "The direction of a call, as the telephone exchange sees it.",
    INCOMING="A party called the telephone exchange. `source` is that party.",
    OUTGOING="The telephone exchange called a party. `destination` is that party.",
    UNKNOWN=UNKNOWN,
)
_public(
    MuteDirection,
    "MuteDirection",
    "The direction in which a party is muted.",
    NONE="Not muted: the party hears and is heard.",
    IN="The party is not heard.",
    OUT="The party hears nothing.",
    BOTH="The party is not heard and hears nothing.",
    UNKNOWN=UNKNOWN,
)
_public(
    CallHangupBy,
    "CallHangupBy",
    "Which side ended a call.",
    REMOTE="The party.",
    LOCAL="The telephone exchange.",
    UNKNOWN=UNKNOWN,
)
_public(
    CallHangupReason,
    "CallHangupReason",
    "Why a call ended.",
    NORMAL="One side hung up after the call was answered.",
    FAILED="The call could not be set up.",
    BUSY="The party was busy.",
    CANCEL="The call was cancelled before an answer.",
    TIMEOUT="The call lasted longer than is allowed.",
    NOANSWER="The call rang and was not answered.",
    DECLINED="The party declined the call.",
    DIALOUT="The call rang for the whole ringing time.",
    AMD="An answering machine answered.",
    UNKNOWN=UNKNOWN,
)
_public(
    GroupcallStatus,
    "GroupcallStatus",
    "The status of a groupcall.",
    PROGRESSING="Destinations are being dialled, or the destination that answered is still on its call.",
    HANGINGUP="The calls are being ended.",
    HANGUP="The groupcall has ended.",
    UNKNOWN=UNKNOWN,
)
_public(
    ConferenceType,
    "ConferenceType",
    "The rule by which a bridge ends.",
    CONFERENCE="The bridge ends when its last party leaves.",
    CONNECT="The bridge connects two parties and ends when one is left.",
    QUEUE="The bridge belongs to a queue.",
    UNKNOWN=UNKNOWN,
)
_public(
    ConferenceStatus,
    "ConferenceStatus",
    "The status of a bridge.",
    STARTING="The bridge is being set up.",
    PROGRESSING="The bridge connects calls.",
    TERMINATING="The bridge is being ended.",
    TERMINATED="The bridge has ended.",
    UNKNOWN=UNKNOWN,
)
_public(
    CallChangeKind,
    "CallChangeKind",
    "What a message of `callChanged` says.",
    PRESENT="The call was up when the subscription began.",
    READY="All calls that were up have been sent. From now on changes are sent. This message has no call.",
    CHANGED="The call is new or has changed.",
    GONE="The call has ended or no longer matches the filter.",
)
_public(
    OrderDirection,
    "OrderDirection",
    "The order of a list.",
    ASC="Oldest first.",
    DESC="Newest first.",
)
_public(
    RefusalCode,
    "UserErrorCode",
    "Why a mutation was refused.",
    NOT_FOUND="The object does not exist, or belongs to another customer.",
    INVALID_ADDRESS="An address is malformed or named twice.",
    NOT_DIALABLE="An address is of a type that can't be dialled.",
    NO_ADDRESS="No destination is named.",
    TOO_MANY_ADDRESSES="More than 10 destinations are named.",
    OUT_OF_RANGE="A number is outside its range.",
    CALL_NOT_PROGRESSING="The call is not answered yet, or has ended.",
    NO_BRIDGE="The call is in no bridge, so it is connected to nobody.",
    NO_OTHER_PARTY="Nobody else is on the call, so there is nobody to transfer.",
    ALREADY_TRANSFERRING="A transfer of this call or bridge is live: see `transfer`.",
    SAME_PARTY="A destination is on the call already.",
    IDEMPOTENCY_CONFLICT="The idempotency key was used with another input: see `transfer`.",
    ILLEGAL_TRANSITION="The status of the transfer does not allow the command.",
    ENGINE_UNAVAILABLE="The telephone exchange is down, or refused what it was asked. Nothing has changed.",
    NOT_SIMULATED="The server runs on a real telephone exchange, which has no simulation.",
    INVALID_INPUT="A value is too long, there are too many values, or the state of the call does not allow it.",
)
_public(
    Rejection,
    "SimulatedRejection",
    "How a simulated telephone rejects a call.",
    BUSY="The telephone is busy.",
    DECLINED="The user of the telephone declines the call.",
    NO_ANSWER="The telephone stops ringing without an answer.",
    UNREACHABLE="The telephone can't be reached.",
)
