"""`millrace sim`: the simulated gateway by itself, as somebody starts it who has nothing else."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from ib_async import IB, LimitOrder, MarketOrder, Stock

from cli.servers import free_port

MILLRACE = Path(sys.executable).with_name("millrace")
pytestmark = pytest.mark.timeout(120)


@contextmanager
def simulator(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """The command in a folder of its own, ready; its ports of the API and of the control routes."""
    port, control = free_port(), free_port()
    command = [MILLRACE, "sim", "--port", str(port), "--control-port", str(control), *arguments]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603
    try:
        assert process.stdout is not None
        said: list[str] = []
        while "Ctrl-C stops it" not in (line := process.stdout.readline()):
            assert line, f"it ended: {said}"
            said.append(line)
        yield process, port, control
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
        assert process.returncode == 0, output


async def test_a_stranger_trades_against_it(tmp_path: Path) -> None:
    with simulator(tmp_path, "--speed", "0", "--symbols", "aapl, XYZ") as (_, port, control):
        client = IB()
        await client.connectAsync("127.0.0.1", port, clientId=1)
        await move(control, "2027-01-04T15:00:00Z")
        (contract,) = await client.qualifyContractsAsync(Stock("XYZ", "SMART", "USD"))
        trade = client.placeOrder(contract, MarketOrder("BUY", 10))
        await until(trade.isDone)
        assert trade.orderStatus.status == "Filled"
        assert (await client.reqCurrentTimeAsync()).isoformat() == "2027-01-04T15:00:00+00:00"
        client.disconnect()
    assert not contents(tmp_path), "it leaves nothing behind"


async def test_with_a_state_folder_orders_are_there_again(tmp_path: Path) -> None:
    arguments = ("--speed", "0", "--state", "kept", "--trace", "trace.log")
    with simulator(tmp_path, *arguments) as (_, port, _control):
        client = IB()
        await client.connectAsync("127.0.0.1", port, clientId=1)
        (contract,) = await client.qualifyContractsAsync(Stock("AAPL", "SMART", "USD"))
        order = LimitOrder("BUY", 1, 1, tif="GTC", orderRef="patient")
        trade = client.placeOrder(contract, order)
        await until(lambda: trade.orderStatus.status == "PreSubmitted")
        client.disconnect()
    with simulator(tmp_path, *arguments) as (_, port, _control):
        client = IB()
        await client.connectAsync("127.0.0.1", port, clientId=1)
        assert [found.order.orderRef for found in client.openTrades()] == ["patient"]
        client.disconnect()
    log = (tmp_path / "trace.log").read_text()
    assert "placeOrder" in log
    assert "patient" in log


async def test_prices_come_from_files(tmp_path: Path) -> None:
    folder = tmp_path / "prices"
    folder.mkdir()
    (folder / "XYZ.csv").write_text(
        "date,open,high,low,close,volume\n2027-01-04,50,52,49,51,100000\n2027-01-05,51,53,50,52,100000\n"
    )
    with simulator(tmp_path, "--speed", "0", "--symbols", "XYZ", "--data", "prices", "--days", "2") as (
        _,
        port,
        control,
    ):
        client = IB()
        await client.connectAsync("127.0.0.1", port, clientId=1)
        (contract,) = await client.qualifyContractsAsync(Stock("XYZ", "SMART", "USD"))
        await move(control, "2027-01-05T14:30:00Z")
        (ticker,) = await client.reqTickersAsync(contract)
        assert (ticker.last, ticker.close) == (51, 51)
        client.disconnect()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - the client offers no event for it
            await asyncio.sleep(0.01)


def contents(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def move(control: int, to: str) -> None:
    async with httpx.AsyncClient() as http:
        (await http.post(f"http://127.0.0.1:{control}/advance", params={"to": to})).raise_for_status()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--start", "tomorrow"), "--start: 'tomorrow' is not a date like"),
        (("--set", "volatility"), "--set: 'volatility' is not KEY=VALUE"),
        (("--set", "volatilty=0.5"), "did you mean 'volatility'"),
        (("--scenario", "flood"), "'flood' is neither a TOML file nor one of"),
        (("--data", "nowhere"), "nowhere"),
    ],
)
def test_what_it_cannot_do_it_says(tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    result = subprocess.run(  # noqa: S603 - our own program
        [MILLRACE, "sim", "--port", "0", "--control-port", "0", *arguments],
        cwd=tmp_path, env=os.environ | {"COLUMNS": "400"}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode != 0
    assert complaint in result.stdout + result.stderr
    assert "Traceback" not in result.stderr


def test_scenarios_are_listed() -> None:
    result = subprocess.run([MILLRACE, "sim", "--scenario", "list"], capture_output=True, text=True, check=True)  # noqa: S603
    assert "nightly-reset " in result.stdout
