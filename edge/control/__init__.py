"""The local socket: ask the running monitor, and answer it.

One request a line, one answer a line, both JSON: ``{"command":"status"}`` is answered with
``{"ok":true,"answer":{...}}`` or ``{"ok":false,"error":"..."}``. After ``{"command":"live"}``
an answer comes every second until the client hangs up. The socket belongs to the monitor's user
alone (0600 in a folder of 0700), and nothing listens on a network.

    this file   the requests, which both sides share
    board       what a notice may say: all that the notifier is ever told
    syncing     what the sender may ask, and no more
    server      the monitor's side, in its event loop
    client      the other side: plain blocking sockets, quick to import
    asking      the other side in an event loop
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from edge.alerts import Answer
from edge.control.syncing import SyncRequest
from edge.egress.consent import Switch
from edge.egress.departure import MAX_DETAIL, Departure, Stage
from edge.records import LimitAct, Meaning, Role

MAX_REQUEST_BYTES = 64 * 1024
"""A longer line is no request of ours."""
MAX_ANSWER_BYTES = 16 * 1024 * 1024
MAX_CLIENTS = 16
LIVE_PERIOD_S = 1.0
WITHHELD = "withheld: "
"""So begins why a message may not leave, where people do not let it."""


class ControlError(RuntimeError):
    """A request cannot be answered, or the socket not be used; the text says what to do."""


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="command"):
    """What all requests share: their name stands in ``command``."""


class Ping(_Request, frozen=True, tag="ping"):
    """Ask whether anybody is there."""


class Status(_Request, frozen=True, tag="status"):
    """What is happening now, all of it, once."""


class Live(_Request, frozen=True, tag="live"):
    """The same every second, until the client hangs up."""


class Alerts(_Request, frozen=True, tag="alerts"):
    """Standing alerts, and the latest stored states of all alerts."""

    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1000


class Acknowledge(_Request, frozen=True, tag="acknowledge"):
    """A person has seen an alert; `id` may be its beginning, as long as only one alert has it."""

    id: Annotated[str, Meta(min_length=1, max_length=200)]
    by: Annotated[str, Meta(min_length=1, max_length=64)]
    role: Role = Role.CARER
    meaning: Meaning = Meaning.SEEN


class Tell(_Request, frozen=True, tag="tell"):
    """A person pauses, turns off, resumes or hands over: all that is no acknowledgement."""

    answer: Answer


class Enter(_Request, frozen=True, tag="enter"):
    """A person says what no sensor sees, or measured; see `edge.events.Entry`."""

    what: Annotated[str, Meta(min_length=1, max_length=64)]
    value: Annotated[str, Meta(min_length=1, max_length=64)]
    by: Annotated[str, Meta(min_length=1, max_length=64)]
    role: Annotated[str, Meta(min_length=1, max_length=64)]
    patient: Annotated[str, Meta(max_length=64)] = ""
    valid_for_s: float | None = None
    age_s: float = 0.0


class Notices(_Request, frozen=True, tag="notices"):
    """What a notice may say (`edge.control.board`), as soon as it is not as at `after` any more.

    `details`: with the reasons of the alerts, and so with measured values.
    """

    after: int = -1
    wait_s: Annotated[float, Meta(ge=0.0, le=50.0)] = 0.0
    details: bool = False


class Delivered(_Request, frozen=True, tag="delivered"):
    """How far a notice of an alert has come, told by the notifier; it can only add."""

    alert_id: Annotated[str, Meta(min_length=1, max_length=200)]
    stage: Literal["queued", "sent", "received", "failed"]
    by: Annotated[str, Meta(min_length=1, max_length=64)]
    at_s: float
    detail: Annotated[str, Meta(max_length=200)] = ""


class Way(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one way of notices is: does it work, since when (boot time), what waits for it."""

    name: Annotated[str, Meta(max_length=64)]
    works: bool
    since_s: float
    reason: Annotated[str, Meta(max_length=300)] = ""
    n_waiting: int = 0
    sent_s: float | None = None


class NoticesState(_Request, frozen=True, tag="notices_state"):
    """That the notifier lives, and how each way of it is: told every few seconds."""

    pid: int
    ways: Annotated[tuple[Way, ...], Meta(max_length=32)]
    deadman: Way | None = None


class WayProof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a test notice to one destination showed: taken by its service; held by it; in words."""

    name: Annotated[str, Meta(max_length=64)]
    sent: bool
    received: bool
    text: Annotated[str, Meta(max_length=300)] = ""


class NoticesProof(_Request, frozen=True, tag="notices_proof"):
    """What test notice `n` showed, which the board had asked the notifier for."""

    n: int
    ways: Annotated[tuple[WayProof, ...], Meta(max_length=32)]


class Leaves(_Request, frozen=True, tag="leaves"):
    """That a message is about to leave, told by whoever sends it, before it is sent.

    Sent only where the answer is no error: what may not leave is refused. See `edge.daemon.gate`.
    """

    what: Departure


class Became(_Request, frozen=True, tag="became"):
    """What became of a message that was told."""

    uuid: Annotated[str, Meta(min_length=1, max_length=64)]
    stage: Stage
    at_s: float
    detail: Annotated[str, Meta(max_length=MAX_DETAIL)] = ""


class ChangeConsent(_Request, frozen=True, tag="consent"):
    """A person lets a kind of content leave, or not; see `edge.egress.consent`."""

    switch: Switch
    on: bool
    by: Annotated[str, Meta(min_length=1, max_length=64)]
    why: Annotated[str, Meta(min_length=1, max_length=200)]


class ForgetSent(_Request, frozen=True, tag="forget_sent"):
    """A person has the words of messages that left erased, by their numbers in the ledger.

    Attributes
    ----------
    first, last : int
        All between, both included.
    """

    first: Annotated[int, Meta(ge=1)]
    last: Annotated[int, Meta(ge=1)]
    by: Annotated[str, Meta(min_length=1, max_length=64)]
    why: Annotated[str, Meta(max_length=200)] = "on request"


class ChangeLimits(_Request, frozen=True, tag="limits"):
    """A person changes how a patient is watched; see `edge.limits`.

    Attributes
    ----------
    settings : dict
        SET: rule -> setting -> value.
    keys : tuple[str, ...]
        RESET: ``rule`` or ``rule.setting``; none: all of them.
    preset : str
        PRESET, NEW_PATIENT: its name.
    scale : int
        SCALE: of NEWS2's oxygen saturation.
    """

    act: LimitAct
    by: Annotated[str, Meta(min_length=1, max_length=64)]
    role: Role
    why: Annotated[str, Meta(min_length=1, max_length=200)]
    patient: Annotated[str, Meta(max_length=64)] = ""
    settings: dict[str, dict[str, bool | float]] = {}
    keys: tuple[str, ...] = ()
    preset: Annotated[str, Meta(max_length=64)] = ""
    scale: Annotated[int, Meta(ge=1, le=2)] = 1


class Trace(_Request, frozen=True, tag="trace"):
    """The last seconds of one signal; `patient` may be left out where there is only one."""

    signal: Annotated[str, Meta(min_length=1, max_length=100)]
    seconds: Annotated[float, Meta(gt=0.0, le=60.0)] = 10.0
    patient: Annotated[str, Meta(max_length=64)] = ""


class BeginSelfTest(_Request, frozen=True, tag="begin_self_test"):
    """Test the alarm path now, or follow the test that is running.

    `listen`: a person is there to be asked what they hear; `by` is their name.
    """

    by: Annotated[str, Meta(min_length=1, max_length=64)]
    listen: bool = False


class FollowSelfTest(_Request, frozen=True, tag="follow_self_test"):
    """What a self-test has told after its first `after` lines; waits a moment for the next."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    after: Annotated[int, Meta(ge=0, le=10_000)] = 0


class AnswerSelfTest(_Request, frozen=True, tag="answer_self_test"):
    """What a person answered to question `n` of a self-test."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    n: Annotated[int, Meta(ge=0, le=10_000)]
    yes: bool
    by: Annotated[str, Meta(min_length=1, max_length=64)]


class Unlock(_Request, frozen=True, tag="unlock"):
    """The passphrase of the device's key, typed by a person; never logged, never kept."""

    passphrase: Annotated[str, Meta(min_length=1, max_length=1024)]
    by: Annotated[str, Meta(min_length=1, max_length=64)]

    def __repr__(self) -> str:
        return f"Unlock(by={self.by!r})"


class VaultAside(_Request, frozen=True, tag="vault_aside"):
    """Close the vault for this client, which does `act` to it; answered with a lease."""

    act: Annotated[str, Meta(pattern="^(forget|forget_all|rotate_key)$")]
    by: Annotated[str, Meta(min_length=1, max_length=64)]
    span: Annotated[str, Meta(max_length=100)] = ""


class VaultStay(_Request, frozen=True, tag="vault_stay"):
    """The client of this lease is still at it."""

    lease: int


class VaultBack(_Request, frozen=True, tag="vault_back"):
    """The client of this lease has ended; `told` says what came of it, in numbers."""

    lease: int
    done: bool
    told: dict[str, int] = {}


VaultRequest: TypeAlias = Unlock | VaultAside | VaultStay | VaultBack


class Forget(_Request, frozen=True, tag="forget"):
    """A person wants records forgotten; see `edge.store.wanted.Wanted`.

    Attributes
    ----------
    from_s, to_s : float | None
        Wall time, seconds since 1970; None: from the first, to the last.
    dry_run : bool
        Only say what would be forgotten.
    """

    by: Annotated[str, Meta(min_length=1, max_length=64)]
    from_s: float | None = None
    to_s: float | None = None
    patient: Annotated[str, Meta(max_length=64)] = ""
    dry_run: bool = False


SelfTestRequest: TypeAlias = BeginSelfTest | FollowSelfTest | AnswerSelfTest
Request: TypeAlias = (
    Ping
    | Status
    | Live
    | Alerts
    | Acknowledge
    | Tell
    | Enter
    | ChangeLimits
    | Trace
    | Notices
    | Delivered
    | NoticesState
    | NoticesProof
    | Leaves
    | Became
    | ChangeConsent
    | ForgetSent
    | SelfTestRequest
    | VaultRequest
    | SyncRequest
    | Forget
)
