"""The examples in the documentation, each run as it stands there with the library it is for."""

import re
import subprocess
from pathlib import Path

import pytest
from ib_async import IB, MarketOrder, Stock

from cli.servers import free_port
from tests.component.simulator.test_sim_command import move, simulator, until
from tests.conformance.environments import ROOT, interpreter

PAGE = (ROOT / "docs" / "test-your-own-ibkr-program.md").read_text()
EXAMPLES = {
    library: code
    for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for library in re.findall(r"from (ib\w+)", code)[:1]
}
OUTPUTS = re.findall(r"It prints (.*?)[:(]", PAGE)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("client", "output"), list(zip(EXAMPLES, OUTPUTS, strict=True)))
def test_an_example_prints_what_the_page_says(tmp_path: Path, client: str, output: str) -> None:
    python = interpreter(client)
    web_port = str(free_port())
    with simulator(tmp_path, "--speed", "600", "--web-port", web_port) as (_, port, _control):
        example = EXAMPLES[client].replace("4002", str(port)).replace("5000", web_port)
        result = subprocess.run([python, "-c", example], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    assert result.stdout.splitlines() == re.findall(r"`(.*?)`", output)


async def test_its_fault_script_does_what_the_page_says(tmp_path: Path) -> None:
    (script,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "script.toml").write_text(script)
    with simulator(tmp_path, "--speed", "0", "--scenario", "script.toml") as (_, port, control):
        client = IB()
        await client.connectAsync("127.0.0.1", port, clientId=1)
        await move(control, "2027-01-04T15:00:00Z")
        (contract,) = await client.qualifyContractsAsync(Stock("AAPL", "SMART", "USD"))
        trade = client.placeOrder(contract, MarketOrder("BUY", 10, orderRef="entry-1"))
        await until(lambda: trade.orderStatus.status == "Filled")
        assert not trade.fills, "its report is late"
        await until(lambda: bool(trade.fills))
        await until(lambda: not client.isConnected())
