"""Doubts about orders that were sent: when they are UNKNOWN, cancelled, lost, and that none is forgotten."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from services.gateway.core.verdicts import Doubts, evidence

TIMEOUT, SETTLE = 10.0, 5.0


def doubts() -> Doubts:
    return Doubts(TIMEOUT, SETTLE)


def test_an_answered_order_is_in_doubt_no_more() -> None:
    found = doubts()
    found.sent(["a"], 0)
    assert "a" in found
    assert found.answered("a")
    assert not found.answered("a")
    assert found.overdue(1000) == ()
    assert not found.listing_due(1000)


def test_silence_is_unknown_once_and_asks_for_a_listing() -> None:
    found = doubts()
    found.sent(["a"], 0)
    assert found.overdue(TIMEOUT - 1) == ()
    assert not found.listing_due(TIMEOUT - 1)
    assert found.overdue(TIMEOUT) == ("a",)
    assert found.overdue(TIMEOUT) == ()
    assert found.listing_due(TIMEOUT)


def test_an_order_whose_connection_was_lost_is_unknown_at_the_first_listing_without_it() -> None:
    found = doubts()
    found.sent(["a"], 0)
    found.connection_lost()
    assert found.listing_due(1)
    findings = found.listed(1)
    assert (findings.unknown, findings.to_cancel, findings.lost) == (("a",), (), ())
    assert not found.listing_due(2)


def test_what_an_earlier_process_left_is_looked_at_at_once() -> None:
    found = doubts()
    found.found(["a"], 0)
    assert found.listing_due(0)
    assert found.listed(0).unknown == ("a",)


def test_two_listings_without_it_then_a_cancel_then_a_third_prove_that_it_is_lost() -> None:
    found = doubts()
    found.sent(["a"], 0)
    found.overdue(TIMEOUT)
    assert found.listed(10).to_cancel == ()
    assert found.listed(10 + SETTLE - 1).to_cancel == ()
    assert not found.listing_due(10 + SETTLE)
    assert found.listed(10 + SETTLE).to_cancel == ("a",)
    assert found.listed(16).to_cancel == ("a",), "the cancel could not be sent"
    found.cancelled("a", 17)
    assert found.listed(16.5).lost == (), "that listing had begun before the cancel"
    (lost,) = found.listed(22).lost
    assert lost.order_ref == "a"
    assert "a" not in found
    assert evidence(lost, 7) == (
        "never reached the broker: missing from 6 complete listings over 12.0 s, also after its id 7 was cancelled"
    )


def test_a_listing_that_was_begun_before_an_order_was_sent_says_nothing_of_it() -> None:
    found = doubts()
    found.sent(["a"], 5)
    found.connection_lost()
    findings = found.listed(4)
    assert findings.unknown == ()
    assert found.listing_due(6)


def test_an_order_with_time_left_to_answer_is_not_judged_by_a_listing() -> None:
    found = doubts()
    found.sent(["old"], 0)
    found.overdue(TIMEOUT)
    found.sent(["new"], TIMEOUT)
    assert found.listed(TIMEOUT + 1).unknown == ()
    assert found.overdue(TIMEOUT + 2) == ()
    assert found.overdue(2 * TIMEOUT) == ("new",)


def test_a_command_that_comes_back_takes_its_orders_over_but_not_those_sent_since() -> None:
    found = doubts()
    found.found(["left"], 0)
    found.sent(["sent"], 0)
    found.sends_again(["left", "sent"])
    assert found.refs() == ("sent",)


@dataclass
class World:
    """A broker that got some of the orders, and the gateway's loop around the doubts."""

    doubts: Doubts = field(default_factory=doubts)
    at_broker: set[str] = field(default_factory=set[str])
    verdicts: dict[str, str] = field(default_factory=dict[str, str])
    cancelled: set[str] = field(default_factory=set[str])
    now: float = 0

    def tick(self, *, linked: bool, answering: bool) -> None:
        self.now += 1
        if not linked:
            self.doubts.connection_lost()
        if linked and answering:
            for order_ref in self.at_broker & set(self.doubts.refs()):
                self.answer(order_ref)
        self.doubts.overdue(self.now)
        if linked and self.doubts.listing_due(self.now):
            began = self.now
            for order_ref in self.at_broker & set(self.doubts.refs()):
                self.answer(order_ref)
            findings = self.doubts.listed(began)
            for order_ref in findings.to_cancel:
                self.cancelled.add(order_ref)
                self.doubts.cancelled(order_ref, self.now)
            for doubt in findings.lost:
                assert doubt.order_ref in self.cancelled
                self.judge(doubt.order_ref, "lost")

    def answer(self, order_ref: str) -> None:
        self.doubts.answered(order_ref)
        self.judge(order_ref, "answered")

    def judge(self, order_ref: str, verdict: str) -> None:
        assert order_ref not in self.verdicts
        self.verdicts[order_ref] = verdict


steps = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.booleans()),
        st.tuples(st.just("tick"), st.booleans()),
        st.tuples(st.just("restart"), st.booleans()),
    ),
    max_size=60,
)


@settings(max_examples=150)
@given(steps, st.booleans())
def test_every_order_ends_with_the_verdict_that_is_true(steps: list[tuple[str, bool]], answering: bool) -> None:
    """Orders that arrive or not, links that break, processes that restart: each order is answered or lost, rightly."""
    world, sent = World(), list[str]()
    for step, flag in steps:
        if step == "send":
            order_ref = str(len(sent))
            sent.append(order_ref)
            if flag:
                world.at_broker.add(order_ref)
            world.doubts.sent([order_ref], world.now)
        elif step == "restart":
            world.doubts = doubts()
            world.doubts.found([ref for ref in sent if ref not in world.verdicts], world.now)
        else:
            world.tick(linked=flag, answering=answering)
    for _ in range(60):
        world.tick(linked=True, answering=answering)
    assert {ref for ref, verdict in world.verdicts.items() if verdict == "answered"} == world.at_broker
    assert set(world.verdicts) == set(sent)
    assert len(world.doubts) == 0
