"""The public names and words of the enums. Most are the domain's own; those that only the API has stand here."""

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
    """A value without words is a KeyError at import."""
    strawberry.enum(enum, name=name, description=description)
    for value in vars(enum)["__strawberry_definition__"].values:
        value.description = values[value.name]


UNKNOWN = "A value that the telephony engine sent and this version does not know. Refused on input."

_public(
    Permission,
    "Permission",
    "What a token may do.",
    TRANSFERS_READ="Read transfers, their events and their counts, and subscribe to them.",
    TRANSFERS_WRITE="Start transfers and tell them what to do.",
    CALLS_READ="Read calls, groupcalls and conferences, follow links to them, and subscribe to calls.",
    SIMULATE="Play the outside world on the simulator: the `simulate…` mutations.",
)
_public(
    Type,
    "TransferType",
    "The two ways to transfer a call.",
    ATTENDED="With consultation: the transferer speaks with the destination first, while the others wait on hold.",
    BLIND="Without consultation: the transferer leaves as soon as the destination is being rung.",
)
_public(
    Status,
    "TransferStatus",
    "Where a transfer stands. The last four are final, and are reached only when the telephone exchange has confirmed "
    "that everything is in order; all the others are live.",
    STARTING="The exchange is being asked to hold the parties and to dial the destination.",
    RINGING="Attended: the destination rings, the held parties wait on hold, the transferer waits.",
    CONSULTING="Attended: the destination has answered. `speakingTo` says whom the transferer speaks with.",
    MERGED="Attended: transferer, held parties and destination all speak with each other.",
    TRANSFERRING="The transferer has left; the destination rings and the held parties hear it ring.",
    RECALLING="The destination was not reached: the transferer is being rung back, so that nobody is left alone.",
    ENDING="The outcome is decided, see `outcome`; the exchange is still putting things in order.",
    COMPLETED="The held parties and the destination are connected, and the transferer is out.",
    CANCELLED="Taken back by a command: transferer and held parties are connected as before.",
    FAILED="The destination was not reached or was lost, or the exchange failed; see `outcomeReason`, `disposition`.",
    ABANDONED="The last held party hung up before the transfer was done.",
)
_public(
    Outcome,
    "TransferOutcome",
    "How a transfer ends; decided before its status becomes final.",
    COMPLETED="The held parties and the destination are connected.",
    CANCELLED="Taken back by a command.",
    FAILED="The destination was not reached or was lost, or the exchange failed.",
    ABANDONED="The last held party hung up first.",
)
_public(
    Reason,
    "TransferOutcomeReason",
    "Why a transfer was not completed.",
    BUSY="The destination was engaged in another call.",
    NO_ANSWER="The destination's own line gave up ringing.",
    DECLINED="The destination refused the call.",
    UNREACHABLE="The destination could not be rung: unknown, switched off, or the network failed.",
    TIMEOUT="The destination rang for `ringTimeout` seconds without an answer.",
    CONSULT_TIMEOUT="The consultation lasted for `consultTimeout` seconds.",
    DESTINATION_HANGUP="The destination answered, and hung up before the transfer was done.",
    HELD_HANGUP="The last held party hung up.",
    COMMAND="A client cancelled it.",
    BRIDGE_LOST="The bridge that connected the parties is gone.",
    ENGINE_ERROR="The telephone exchange refused or did not do what was asked of it.",
)
_public(
    Disposition,
    "TransferDisposition",
    "What became of the held parties when a transfer failed.",
    RETURNED="They speak with the transferer again, who had never left.",
    RECALLED="The transferer had left, was rung back, and speaks with them again.",
    RELEASED="The transferer is out: a held party that was left alone was hung up, several stay connected.",
)
_public(
    Party,
    "TransferParty",
    "A part in a transfer.",
    TRANSFERER="Who is on the call and passes it on.",
    HELD="Who is on the call and is moved.",
    DESTINATION="Who is called, and shall take the call over.",
    CLIENT="A user of this API, by a command.",
    SYSTEM="The server itself or the telephone exchange: a timer, a fault.",
)
_public(
    SpeakingTo,
    "TransferSpeakingTo",
    "Whom the transferer speaks with.",
    DESTINATION="The destination, in private.",
    HELD="The held parties, while the destination waits.",
    ALL="Everybody: a three-way call.",
    NONE="Nobody: nobody has answered yet, or the transferer has left.",
)
_public(
    FailurePolicy,
    "TransferFailurePolicy",
    "What becomes of the held parties when the transferer has left and the destination is not reached.",
    RETURN_TO_TRANSFERER="The transferer is rung back, and speaks with them again.",
    RELEASE="They are let go: one that is left alone is hung up.",
)
_public(
    TransferCommand,
    "TransferCommand",
    "What a transfer can be told to do, by the mutation of that name.",
    COMPLETE="`completeTransfer`",
    CANCEL="`cancelTransfer`",
    SWAP="`swapTransfer`",
    MERGE="`mergeTransfer`",
    UPDATE="`updateTransfer`",
    DELETE="`deleteTransfer`",
)
_public(
    TransferSide,
    "TransferSide",
    "With whom the transferer shall speak.",
    HELD="The held parties; the destination waits.",
    DESTINATION="The destination; the held parties wait.",
)
_public(
    RingMethod,
    "RingMethod",
    "How several destinations are rung.",
    RING_ALL="All at once; the first to answer gets the call.",
    LINEAR="One after the other, in the given order, each for the ringing time.",
    UNKNOWN=UNKNOWN,
)
_public(
    DialOutcome,
    "DialOutcome",
    "What came of dialling one destination.",
    PENDING="Being dialled; it does not ring yet.",
    RINGING="It rings.",
    ANSWERED="It answered, and got the call.",
    BUSY="It was engaged in another call.",
    NO_ANSWER="Its line gave up ringing.",
    DECLINED="It refused the call.",
    UNREACHABLE="It could not be rung.",
    TIMEOUT="It rang for the whole ringing time.",
    CANCELLED="The dialling was given up, because the transfer ended.",
    ANSWERED_ELSEWHERE="Another destination had answered first.",
)
_public(
    EventKind,
    "TransferEventKind",
    "What has changed.",
    STARTED="The transfer was started: its first event.",
    STATUS="Its status.",
    SPEAKING_TO="With whom the transferer speaks.",
    ATTEMPT="The dialling of a destination, or of the transferer who is rung back.",
    UPDATED="Its note, its metadata, or who is held.",
    DELETED="It was deleted.",
)
_public(
    AddressType,
    "AddressType",
    "What kind of address it is. Only `TEL`, `SIP`, `AGENT` and `EXTENSION` can be dialled; the others are refused by "
    "name.",
    TEL="A telephone number in E.164: `+` and 7 to 15 digits.",
    SIP="An address of internet telephony: `user@host`.",
    AGENT="An agent of the call centre, by UUID.",
    EXTENSION="An extension of the house, by number or UUID; `targetName` is the routing key when it is given.",
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
    "Where a call stands.",
    DIALING="It is being set up; nothing rings yet.",
    RINGING="It rings.",
    PROGRESSING="It was answered: somebody is on it.",
    TERMINATING="It is being hung up.",
    CANCELING="It is being given up before an answer.",
    HANGUP="It is over.",
    UNKNOWN=UNKNOWN,
)
_public(
    CallDirection,
    "CallDirection",
    "Who called whom, as the telephone exchange sees it.",
    INCOMING="Somebody called us: `source` is the far end.",
    OUTGOING="We called somebody: `destination` is the far end.",
    UNKNOWN=UNKNOWN,
)
_public(
    MuteDirection,
    "MuteDirection",
    "Which way a party's sound is cut.",
    NONE="Not muted: the party hears and is heard.",
    IN="The party is not heard.",
    OUT="The party hears nothing.",
    BOTH="Both.",
    UNKNOWN=UNKNOWN,
)
_public(
    CallHangupBy,
    "CallHangupBy",
    "Which side ended a call.",
    REMOTE="The far end: the person.",
    LOCAL="The telephone exchange.",
    UNKNOWN=UNKNOWN,
)
_public(
    CallHangupReason,
    "CallHangupReason",
    "Why a call ended.",
    NORMAL="Somebody hung up after an answer.",
    FAILED="It could not be set up.",
    BUSY="The far end was engaged in another call.",
    CANCEL="It was given up before an answer.",
    TIMEOUT="It lasted longer than it may.",
    NOANSWER="It rang, and nobody answered.",
    DECLINED="The far end refused it.",
    DIALOUT="The ringing time was over.",
    AMD="An answering machine took it.",
    UNKNOWN=UNKNOWN,
)
_public(
    GroupcallStatus,
    "GroupcallStatus",
    "Where a groupcall stands.",
    PROGRESSING="Destinations are being rung, or the one that answered is on the line.",
    HANGINGUP="Its calls are being ended.",
    HANGUP="It is over.",
    UNKNOWN=UNKNOWN,
)
_public(
    ConferenceType,
    "ConferenceType",
    "By which rule a bridge ends.",
    CONFERENCE="It goes on until its last party leaves.",
    CONNECT="It connects two parties, and ends when one is left.",
    QUEUE="It belongs to a queue.",
    UNKNOWN=UNKNOWN,
)
_public(
    ConferenceStatus,
    "ConferenceStatus",
    "Where a bridge stands.",
    STARTING="It is being set up.",
    PROGRESSING="Calls can hear each other in it.",
    TERMINATING="It is being taken down.",
    TERMINATED="It is gone.",
    UNKNOWN=UNKNOWN,
)
_public(
    CallChangeKind,
    "CallChangeKind",
    "What a subscriber to calls is told.",
    PRESENT="This call was there when the subscription began.",
    READY="Everything that was there has been told; from now on, changes. It has no call.",
    CHANGED="This call is new, or has changed.",
    GONE="This call has ended, or the filter wants it no more.",
)
_public(
    OrderDirection,
    "OrderDirection",
    "Which end of a list comes first.",
    ASC="Oldest first.",
    DESC="Newest first.",
)
_public(
    RefusalCode,
    "UserErrorCode",
    "Why what was asked can't be.",
    NOT_FOUND="There is no such thing, or it belongs to another customer.",
    INVALID_ADDRESS="An address is malformed, or stands twice.",
    NOT_DIALABLE="An address is of a type that can't be dialled.",
    NO_ADDRESS="No destination was named.",
    TOO_MANY_ADDRESSES="More than 10 destinations were named.",
    OUT_OF_RANGE="A number is outside its range.",
    CALL_NOT_PROGRESSING="The call has not been answered, or is over.",
    NO_BRIDGE="The call is connected to nobody.",
    NO_OTHER_PARTY="Nobody else is on the call, so there is nobody to move.",
    ALREADY_TRANSFERRING="A live transfer of this call or bridge is in the way: see `transfer`.",
    SAME_PARTY="A destination is on the call already.",
    IDEMPOTENCY_CONFLICT="The idempotency key was used with another input: see `transfer`.",
    ILLEGAL_TRANSITION="The transfer's present status does not allow this command.",
    ENGINE_UNAVAILABLE="The telephone exchange is down, or refused; nothing has changed.",
    NOT_SIMULATED="This server runs on a real telephone exchange, where nothing can be simulated.",
    INVALID_INPUT="A value breaks a rule: too long, too many, or not possible in the call's present state.",
)
_public(
    Rejection,
    "SimulatedRejection",
    "How a simulated telephone turns a call away.",
    BUSY="It is engaged.",
    DECLINED="Its user refuses.",
    NO_ANSWER="Its line gives up ringing.",
    UNREACHABLE="It can't be reached.",
)
