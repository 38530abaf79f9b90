"""What can go wrong: every effect a rule may have, as data."""

from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from services.simulator.entitlement import Access

RECONNECT, RELEASE = "reconnect", "release"
"""What a message may be held for, besides another message."""
Seconds: TypeAlias = Annotated[float, Field(ge=0, le=7 * 86_400)]
FieldValue: TypeAlias = "str | list[dict[str, str]]"
Farm: TypeAlias = Literal["usfarm", "cashfarm", "ushmds", "secdefnj"]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


# -- what becomes of the message that set the rule off ----------------------------------------------------------------


class Deliver(Model):
    """Let the message pass now: what is listed before happens before it."""

    effect: Literal["deliver"] = "deliver"


class Drop(Model):
    """The message is lost; a request is never carried out."""

    effect: Literal["drop"] = "drop"


class Delay(Model):
    effect: Literal["delay"] = "delay"
    seconds: Seconds = Field(description="real")


class Duplicate(Model):
    effect: Literal["duplicate"] = "duplicate"
    times: int = Field(default=1, ge=1, le=1000)


class Hold(Model):
    """Keep the message until the client has been sent one called `until`, of the same order if both have one.

    `reconnect` = until the client has connected anew, `release` = until the control port says so.
    """

    effect: Literal["hold"] = "hold"
    until: str


class Replace(Model):
    """Send the message with other values; `{name}` stands for the value of a field of the message."""

    effect: Literal["replace"] = "replace"
    fields: dict[str, FieldValue]


class DashTimes(Model):
    """Send an execution's time as UTC with a dash, as some gateways do (`20100104-14:30:00`)."""

    effect: Literal["dash-times"] = "dash-times"


# -- what the client is told ------------------------------------------------------------------------------------------


class Error(Model):
    """Send an error or notice. Without `id` it bears the order or request id of the message, else -1."""

    effect: Literal["error"] = "error"
    code: int
    text: str
    id: int | None = None


class Send(Model):
    """Send a message of any kind; `{name}` stands for a value of the message that set the rule off.

    Fields of the same name are taken from that message when `like` is true.
    """

    effect: Literal["send"] = "send"
    message: str
    fields: dict[str, FieldValue] = Field(default_factory=dict[str, FieldValue])
    like: bool = True


class Reject(Model):
    """Answer a placeOrder as the broker's own checks do: 201, then openOrder and orderStatus Inactive."""

    effect: Literal["reject"] = "reject"
    code: int = 201
    text: str = "Order rejected - reason:The order was not accepted by the broker"
    inactive: bool = Field(default=True, description="false = the error alone")


class Raw(Model):
    """Send bytes that may be no message at all."""

    effect: Literal["raw"] = "raw"
    hex: str = Field(pattern="^([0-9a-fA-F]{2})*$")


# -- connections ------------------------------------------------------------------------------------------------------


class Close(Model):
    """End the connection after all that is queued has been sent."""

    effect: Literal["close"] = "close"


class Cut(Model):
    """Break the connection, now or when so many more bytes have been sent or received."""

    effect: Literal["cut"] = "cut"
    after_sent: int | None = Field(default=None, ge=0)
    after_received: int | None = Field(default=None, ge=0)


class HalfOpen(Model):
    """Neither read nor write any more; the connection stays."""

    effect: Literal["half-open"] = "half-open"


class Refuse(Model):
    """Accept no connection for a time, as a gateway that restarts."""

    effect: Literal["refuse"] = "refuse"
    seconds: Seconds = Field(description="real")


# -- IBKR -------------------------------------------------------------------------------------------------------------


class FarmState(Model):
    """A data farm breaks or comes back. Market data, history or contract data fall silent until then."""

    effect: Literal["farm"] = "farm"
    farm: Farm = "usfarm"
    up: bool
    notice: bool = Field(default=True, description="false = nothing is said")


class Link(Model):
    """The link between the gateway and IBKR: 1100 and, when restored, 1101 (data lost) or 1102 (maintained)."""

    effect: Literal["link"] = "link"
    up: bool
    data_lost: bool = Field(default=False, description="when it comes up: 1101, and the quote lines are forgotten")
    events: Literal["held", "lost"] = Field(
        default="held", description="what happens to orders meanwhile is told later"
    )
    orders: Literal["queued", "lost", "refused"] = Field(
        default="queued", description="what becomes of orders sent meanwhile"
    )
    requests: Literal["unanswered", "refused"] = Field(default="unanswered", description="refused = error 504")
    notice: bool = True


class ForgetLines(Model):
    """The gateway forgets all market data subscriptions and says nothing."""

    effect: Literal["forget-lines"] = "forget-lines"


class MarketDataAccess(Model):
    """What the account is entitled to. Lines that are open feel it too: `competing` sends 10197 for each."""

    effect: Literal["access"] = "access"
    access: Access
    symbols: tuple[str, ...] = Field(default=(), description="empty = all")


class ClockSkew(Model):
    """reqCurrentTime is answered with a time that is wrong by so many seconds."""

    effect: Literal["clock-skew"] = "clock-skew"
    seconds: float = Field(ge=-(10**8), le=10**8)


# -- the broker's books, through journaled commands -------------------------------------------------------------------


class EditPosition(Model):
    """A position becomes another without any order: an assignment, a transfer, a correction."""

    effect: Literal["edit-position"] = "edit-position"
    symbol: str = Field(description="local symbol, or the symbol of a stock")
    quantity: Decimal
    average_price: Decimal = Field(ge=0)
    account: str = ""


class Correct(Model):
    """The exchange corrects the price of an execution, the latest one that fits `order_ref`."""

    effect: Literal["correct"] = "correct"
    price: Decimal = Field(gt=0)
    order_ref: str = "*"


class ManualOrder(Model):
    """Somebody else trades in the account: by hand in TWS (client 0), or with another API client."""

    effect: Literal["manual-order"] = "manual-order"
    symbol: str
    action: Literal["BUY", "SELL"]
    quantity: Decimal = Field(gt=0)
    order_type: Literal["MKT", "LMT"] = "MKT"
    limit_price: Decimal | None = None
    time_in_force: Literal["DAY", "GTC"] = "DAY"
    client_id: int = Field(0, ge=0)
    account: str = ""

    @model_validator(mode="after")
    def _priced(self) -> "ManualOrder":
        if (self.order_type == "LMT") != (self.limit_price is not None):
            raise ValueError("limit_price: a LMT order has one, a MKT order none")
        return self


# -- order of things --------------------------------------------------------------------------------------------------


class Wait(Model):
    """What is listed after this comes later. `seconds` are real, `virtual_seconds` those of the market."""

    effect: Literal["wait"] = "wait"
    seconds: Seconds | None = None
    virtual_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _one(self) -> "Wait":
        if (self.seconds is None) == (self.virtual_seconds is None):
            raise ValueError("wait: give either seconds or virtual_seconds")
        return self


Fate: TypeAlias = Deliver | Drop | Delay | Duplicate | Hold | Replace | DashTimes
Told: TypeAlias = Error | Send | Reject | Raw
Connection: TypeAlias = Close | Cut | HalfOpen | Refuse
State: TypeAlias = FarmState | Link | ForgetLines | MarketDataAccess | ClockSkew
Books: TypeAlias = EditPosition | Correct | ManualOrder
Effect: TypeAlias = Annotated[
    Fate | Told | Connection | State | Books | Wait,
    Field(discriminator="effect"),
]
FATES = (Deliver, Drop, Delay, Duplicate, Hold, Replace, DashTimes)
