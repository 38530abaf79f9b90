"""What goes over the wire, and who may say it. A golden file is the wire format of one message type, for a person to
read in a review: a change of it is a change of a contract between services that may not be updated together."""

from pathlib import Path

import orjson
import pytest

from shared.messages import (
    alert,
    broker,
    broker_commands,
    control,
    job,
    market,
    market_requests,
    order,
    risk,
    scan,
    sentiment,
    strategy,
)
from shared.messages.base import Message, decode
from shared.streams import BY_MESSAGE, DEAD_STREAMS, STREAMS, Stream

GOLDEN = Path(__file__).parent / "golden"
SERVICES = {path.name for path in (Path(__file__).parents[2] / "services").iterdir() if path.is_dir()} | {"cli"}
SERVICES |= {"sentiment"}  # its stream is there for whoever brings the readings
SUBJECTS = (
    alert, broker, broker_commands, control, job, market, market_requests, order, risk, scan, sentiment, strategy
)  # fmt: skip
# Parts of other messages, and the one type that every reader may write to its stream's dead letters.
NOT_SENT = {
    market.Quote, market.Greeks, market.TradeTick, market.BidAskTick, market.DepthLevel,
    market_requests.PriceIncrement, market_requests.ContractFacts, market_requests.OptionChain,
    broker_commands.NetPrice, broker_commands.ComboLeg, broker_commands.Condition, broker_commands.Algorithm,
    broker_commands.OrderTerms, broker.BrokerPosition, broker.AccountValues, order.Break, risk.RuleCheck,
    scan.Candidate, strategy.Evidence, alert.DeadLetter,
}  # fmt: skip

EVENTS = [stream for stream in STREAMS if not stream.name.endswith(".commands")]
COMMANDS = [stream for stream in STREAMS if stream.name.endswith(".commands")]


def _name(item: object) -> str:
    return item.name if isinstance(item, Stream) else getattr(item, "__name__", str(item))


def test_every_message_type_has_exactly_one_stream() -> None:
    defined = {
        thing for module in SUBJECTS for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Message) and thing.__module__ == module.__name__
    }  # fmt: skip
    carried = [message for stream in STREAMS for message in stream.messages]
    assert len(carried) == len(set(carried))
    assert defined - NOT_SENT == set(carried)
    names = [message.__name__ for message in carried]
    assert len(names) == len(set(names)), "a type is known on the wire by its name alone"


@pytest.mark.parametrize("stream", [s for s in EVENTS if s.name != "job.events"], ids=_name)
def test_an_event_stream_has_one_writer(stream: Stream) -> None:
    assert len(stream.writers) == 1


def test_job_reports_come_from_whoever_was_told_to_work() -> None:
    by_name = {stream.name: stream for stream in STREAMS}
    assert set(by_name["job.events"].writers) == set(by_name["job.commands"].groups)


@pytest.mark.parametrize("stream", [s for s in COMMANDS if s.name != "job.commands"], ids=_name)
def test_a_command_stream_has_one_reading_group(stream: Stream) -> None:
    assert len(stream.groups) == 1


@pytest.mark.parametrize("stream", STREAMS, ids=_name)
def test_writers_and_readers_are_services(stream: Stream) -> None:
    assert {*stream.writers, *stream.groups, *stream.followers} <= SERVICES
    assert stream.retention.total_seconds() > 0


def test_what_a_reader_gives_up_on_reaches_the_notifier() -> None:
    assert {stream.name for stream in DEAD_STREAMS} == {f"{stream.name}.dead" for stream in STREAMS if stream.groups}
    assert all(stream.groups == ("notifier",) for stream in DEAD_STREAMS)


@pytest.mark.parametrize("message", BY_MESSAGE, ids=_name)
def test_the_wire_format_is_the_golden_one(message: type[Message]) -> None:
    document = orjson.loads((GOLDEN / f"{message.__name__}.json").read_bytes())
    envelope = decode(orjson.dumps(document), BY_MESSAGE[message].types)
    assert type(envelope.data) is message
    assert orjson.loads(envelope.encode()) == document
    assert document["data"].keys() == message.model_fields.keys()
    assert decode(envelope.encode(), BY_MESSAGE[message].types) == envelope


def test_no_golden_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {message.__name__ for message in BY_MESSAGE}


def test_the_attributes_are_those_of_cloudevents_and_a_valid_trace_parent() -> None:
    document = orjson.loads((GOLDEN / "Bar.json").read_bytes())
    assert {"specversion", "id", "source", "type", "time", "subject", "data"} <= document.keys()
    version, trace, parent, flags = document["traceparent"].split("-")
    assert (version, len(trace), len(parent), flags) == ("00", 32, 16, "01")
    assert trace == document["correlationid"].replace("-", "")
