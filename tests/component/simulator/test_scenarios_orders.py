"""What a client sees when messages about orders go wrong, and what the books say meanwhile."""

import asyncio
from pathlib import Path

import pytest
from ib_async import ExecutionFilter, LimitOrder

from tests.component.simulator.scenario_stage import AAPL, SCALE, Play, play, reconnect, until


async def filled(stage: Play, **terms: object) -> None:
    """Buy 100 at the market, and see the books fill it."""
    stage.buy(**terms)
    await stage.settled()
    stage.advance(minutes=5)
    assert stage.held() == 100


async def test_order_never_answered(tmp_path: Path) -> None:
    async with play(tmp_path, "order-never-answered") as stage:
        lost = stage.buy()
        second = stage.buy()
        await until(lambda: second.orderStatus.status == "Submitted" or second.isDone(), "the second is answered")
        assert lost.orderStatus.status == "PendingSubmit"
        assert len(stage.simulator.engine.received) == 1, "the first never reached the broker"


async def test_order_answer_lost(tmp_path: Path) -> None:
    async with play(tmp_path, "order-answer-lost") as stage:
        silent = stage.buy(limit=150)
        await stage.settled()
        assert silent.orderStatus.status == "PendingSubmit"
        assert len(stage.simulator.engine.book.live()) == 1, "it works all the same"


async def test_order_blocked(tmp_path: Path) -> None:
    async with play(tmp_path, "order-blocked") as stage:
        blocked = stage.buy(limit=150)
        await stage.settled()
        assert (blocked.orderStatus.status, stage.simulator.engine.received) == ("PendingSubmit", [])
        stage.simulator.faults.release()
        await until(lambda: blocked.orderStatus.status == "Submitted", "released")


async def test_order_after_reconnect(tmp_path: Path) -> None:
    async with play(tmp_path, "order-after-reconnect") as stage:
        stage.buy(limit=150, orderRef="waits")
        await stage.settled()
        assert stage.simulator.engine.received == []
        stage.client.disconnect()
        await until(lambda: not stage.simulator.broker.sessions, "the session has ended")
        await stage.client.connectAsync("127.0.0.1", stage.simulator.port, clientId=1)
        await until(lambda: [trade.order.orderRef for trade in stage.client.openTrades()] == ["waits"], "carried out")


async def test_cancel_unanswered(tmp_path: Path) -> None:
    async with play(tmp_path, "cancel-unanswered") as stage:
        trade = stage.buy(limit=150)
        await until(lambda: trade.orderStatus.status == "Submitted", "works")
        stage.client.cancelOrder(trade.order)
        await stage.settled()
        assert trade.orderStatus.status == "PendingCancel"
        assert len(stage.simulator.engine.book.live()) == 1


async def test_false_cancel(tmp_path: Path) -> None:
    async with play(tmp_path, "false-cancel") as stage:
        trade = stage.buy(limit=150)
        await until(lambda: 10349 in stage.codes, "notice")
        assert trade.orderStatus.status == "Cancelled", "as the client understands it"
        (order,) = stage.simulator.engine.book.live()
        assert order.request.order_id == trade.order.orderId


async def test_rejected(tmp_path: Path) -> None:
    async with play(tmp_path, "rejected") as stage:
        trade = stage.buy()
        await until(lambda: trade.orderStatus.status == "Inactive", "rejected")
        assert stage.errors == [(trade.order.orderId, 201)]
        assert [entry.status for entry in trade.log][-2:] == ["Cancelled", "Inactive"]
        assert stage.simulator.engine.received == []


async def test_silent_inactive(tmp_path: Path) -> None:
    async with play(tmp_path, "silent-inactive") as stage:
        trade = stage.buy(quantity=70)
        await until(lambda: trade.orderStatus.status == "Inactive", "inactive")
        assert (stage.errors, trade.orderStatus.remaining) == ([], 70)
        assert stage.held() == 0


async def test_cancel_error_first(tmp_path: Path) -> None:
    async with play(tmp_path, "cancel-error-first") as stage:
        trade = stage.buy(limit=150)
        await until(lambda: trade.orderStatus.status == "Submitted", "works")
        calls = stage.record("error", "orderStatus")
        stage.client.cancelOrder(trade.order)
        await stage.settled()
        assert [call[0] for call in calls] == ["error", "orderStatus"]
        assert (stage.codes, trade.orderStatus.status) == ([202], "Cancelled")
        assert stage.simulator.engine.book.live() == []


async def test_warning_last(tmp_path: Path) -> None:
    async with play(tmp_path, "warning-last") as stage:
        trade = stage.buy(limit=150)
        await until(lambda: 399 in stage.codes, "warned")
        assert trade.orderStatus.status == "ValidationError", "where ib_async leaves it"
        assert len(stage.simulator.engine.book.live()) == 1


async def test_fill_after_cancel(tmp_path: Path) -> None:
    async with play(tmp_path, "fill-after-cancel") as stage:
        trade = stage.buy()
        seen: list[str] = []
        trade.cancelledEvent += lambda _: seen.append("cancelled")
        trade.filledEvent += lambda _: seen.append("filled")
        stage.advance(minutes=5)
        await until(lambda: seen == ["cancelled", "filled"], "both")
        assert stage.held() == 100


async def test_execution_before_order(tmp_path: Path) -> None:
    async with play(tmp_path, "execution-before-order") as stage:
        seen: list[str] = []
        stage.client.execDetailsEvent += lambda _trade, _fill: seen.append("execution")
        stage.client.openOrderEvent += lambda _trade: seen.append("order")
        await filled(stage)
        await until(lambda: "order" in seen, "order told")
        assert seen[0] == "execution"


async def test_commission_first(tmp_path: Path) -> None:
    async with play(tmp_path, "commission-first") as stage:
        await filled(stage)
        await until(lambda: sum(fill.execution.shares for fill in stage.client.fills()) == 100, "execution arrives")
        assert all(fill.commissionReport.commission == 0 for fill in stage.client.fills()), "ib_async has lost it"
        (account,) = stage.simulator.engine.accounts
        assert stage.simulator.engine.valuation(account).commissions > 0


async def test_commission_late(tmp_path: Path) -> None:
    async with play(tmp_path, "commission-late") as stage:
        await filled(stage)
        await until(lambda: stage.client.fills(), "execution")
        assert stage.client.fills()[0].commissionReport.commission == 0
        await until(lambda: stage.client.fills()[0].commissionReport.commission > 0, "two seconds later")


async def test_commission_lost(tmp_path: Path) -> None:
    async with play(tmp_path, "commission-lost") as stage:
        await filled(stage)
        await until(lambda: stage.client.fills(), "execution")
        await stage.settled()
        assert stage.client.fills()[0].commissionReport.commission == 0
        await stage.client.reqExecutionsAsync(ExecutionFilter())
        await until(lambda: stage.client.fills()[0].commissionReport.commission > 0, "asked for")


async def test_fill_lost(tmp_path: Path) -> None:
    async with play(tmp_path, "fill-lost") as stage:
        await filled(stage, quantity=100)
        trade = stage.client.trades()[0]
        await until(lambda: trade.orderStatus.status == "Filled", "status")
        lost = stage.simulator.engine.executions[0].execution_id
        assert lost not in [fill.execution.execId for fill in stage.client.fills()]
        found = await stage.client.reqExecutionsAsync(ExecutionFilter())
        assert lost in [fill.execution.execId for fill in found]


async def test_doubled(tmp_path: Path) -> None:
    async with play(tmp_path, "doubled") as stage:
        calls = stage.record("execDetails", "orderStatus", "openOrder", "commissionReport")
        await filled(stage)
        await until(lambda: stage.client.fills(), "execution")
        await stage.settled()
        assert [call[:2] for call in calls[::2]] == [call[:2] for call in calls[1::2]]
        executions = [call for call in calls if call[0] == "execDetails"]
        assert len(executions) == 2 * len(stage.client.fills()) == 2 * len(stage.simulator.engine.executions)


async def test_late(tmp_path: Path) -> None:
    async with play(tmp_path, "late") as stage:
        seen: list[str] = []
        stage.client.execDetailsEvent += lambda _trade, _fill: seen.append("execution")
        stage.client.orderStatusEvent += lambda trade: seen.append(trade.orderStatus.status)
        await filled(stage)
        await until(lambda: "execution" in seen, "execution at last")
        assert seen.index("Filled") < seen.index("execution")


async def test_correction(tmp_path: Path) -> None:
    async with play(tmp_path, "correction") as stage:
        await filled(stage)
        first = stage.simulator.engine.executions[0]
        corrected = first.execution_id[:-2] + "02"
        await until(lambda: corrected in [fill.execution.execId for fill in stage.client.fills()], "corrected")
        trade = stage.client.trades()[0]
        assert trade.filled() > 100, "the client counts it as one more fill"
        assert stage.held() == 100


async def test_dash_times(tmp_path: Path) -> None:
    async with play(tmp_path, "dash-times") as stage:
        decoded: list[str] = []
        decode = stage.client.client.decoder.interpret
        stage.client.client.decoder.interpret = lambda fields: (decoded.extend(fields), decode(fields))
        await filled(stage)
        await until(lambda: stage.client.fills(), "execution")
        when = stage.simulator.engine.executions[0].time
        assert f"{when:%Y%m%d-%H:%M:%S}" in decoded


async def test_what_if_unset(tmp_path: Path) -> None:
    async with play(tmp_path, "what-if-unset") as stage:
        stage.buy(limit=150)
        state = await stage.client.whatIfOrderAsync(AAPL, LimitOrder("BUY", 10, 150, tif="DAY"))
        assert not state, "an error ends it, with an empty list"
        assert 201 in stage.codes
        assert len(stage.simulator.engine.book.orders) == 1, "no order came of it"


async def test_what_if_hangs(tmp_path: Path) -> None:
    async with play(tmp_path, "what-if-hangs") as stage:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stage.client.whatIfOrderAsync(AAPL, LimitOrder("BUY", 10, 150, tif="DAY")), 0.3)
        assert stage.codes == [321]
        trade = stage.buy(limit=150)
        await until(lambda: trade.orderStatus.status == "Submitted", "real orders work")


async def test_cancel_not_found(tmp_path: Path) -> None:
    async with play(tmp_path, "cancel-not-found") as stage:
        trade = stage.buy(limit=150)
        await until(lambda: trade.orderStatus.status == "Submitted", "works")
        stage.client.cancelOrder(trade.order)
        await until(lambda: stage.errors == [(trade.order.orderId, 10147)], "not found")
        assert trade.orderStatus.status == "Cancelled", "as the client understands it"
        assert [order.request.order_id for order in stage.simulator.engine.book.live()] == [trade.order.orderId]


async def test_slow_gateway(tmp_path: Path) -> None:
    async with play(tmp_path, "slow-gateway") as stage:
        began = asyncio.get_running_loop().time()
        calls = stage.record("orderStatus", "execDetails", "commissionReport")
        await filled(stage)
        await until(lambda: len(calls) >= 3 and stage.client.fills()[0].commissionReport.commission, "all of it")
        assert asyncio.get_running_loop().time() - began >= SCALE
        names = [name for name, *_ in calls]
        assert names.index("execDetails") < names.index("commissionReport"), "late, but in order"


async def test_stale_next_id(tmp_path: Path) -> None:
    async with play(tmp_path, "stale-next-id", connect=False) as stage:
        told: list[int] = []
        told_to = stage.client.wrapper.nextValidId
        stage.client.wrapper.nextValidId = lambda number: (told.append(number), told_to(number))
        for _ in range(2):
            await reconnect(stage)
            trade = stage.buy(limit=150)
            await until(lambda order=trade: order.orderStatus.status == "Submitted", "works")
            stage.client.disconnect()
            await until(lambda: not stage.simulator.broker.sessions, "left")
        assert told == [1, 1]
        ids = [order.request.order_id for order in stage.simulator.engine.book.live()]
        assert len(set(ids)) == 2, "the client takes the ids of adopted orders into account"
