"""Drives ib_async or ib_insync, whichever is named on the command line; their interfaces are the same."""

import asyncio
import importlib
import json
import sys
from typing import Any

from community_data import DataCalls
from community_orders import OrderCalls
from protocol import Complaints, answer, plain

CALL_SECONDS = 12


class Session(DataCalls, OrderCalls):
    """One connection. Public methods are calls of the protocol."""

    def __init__(self, library: Any) -> None:
        self.library = library
        self.ib = library.IB()
        self.streams: dict[str, Any] = {}
        self.error_log: list[list[Any]] = []
        self.ib.errorEvent += lambda number, code, text, _contract: self.error_log.append([number, code, text])

    async def connect(self, port: int, client: int, patience: float = 5) -> dict[str, Any]:
        arguments: dict[str, Any] = {"clientId": client, "timeout": patience}
        try:
            await self.ib.connectAsync("127.0.0.1", port, **arguments)
        except (TimeoutError, ConnectionError) as error:
            return {"failed": type(error).__name__}
        return {
            "version": self.ib.client.serverVersion(),
            "accounts": self.ib.managedAccounts(),
            "next_id": self.ib.client._reqIdSeq,
        }

    async def disconnect(self, wait: bool = True) -> None:  # noqa: ARG002 - it closes at once
        self.ib.disconnect()
        await asyncio.sleep(0)

    async def connected(self) -> bool:
        return self.ib.isConnected()

    async def errors(self) -> list[list[Any]]:
        """What came as error or notice since the last call."""
        errors, self.error_log = self.error_log, []
        return errors

    async def time(self) -> Any:
        return plain(await self.ib.reqCurrentTimeAsync())

    def make(self, kind: str, values: dict[str, Any]) -> Any:
        """Make an object of the library and set its attributes."""
        made = getattr(self.library, kind)()
        for name, value in values.items():
            setattr(made, name, value)
        return made

    def contract(self, values: dict[str, Any]) -> Any:
        legs = [self.make("ComboLeg", leg) for leg in values.get("comboLegs", ())]
        made = self.make("Contract", {**values, "comboLegs": legs})
        neutral = values.get("deltaNeutralContract")
        made.deltaNeutralContract = self.make("DeltaNeutralContract", neutral) if neutral else None
        return made

    def tags(self, pairs: list[list[str]]) -> list[Any]:
        return [self.library.TagValue(tag, value) for tag, value in pairs]


async def serve(library: Any, complaints: Complaints) -> None:
    sessions: dict[str, Session] = {}
    reader = asyncio.StreamReader(limit=1 << 24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        request = json.loads(line)
        if request["call"] == "complaints":
            answer(complaints.take())
            continue
        name = request["session"]
        if request["call"] == "connect":
            sessions[name] = Session(library)
        try:
            call = getattr(sessions[name], request["call"])
            answer(await asyncio.wait_for(call(**request["args"]), CALL_SECONDS))
        except Exception as error:  # noqa: BLE001 - whatever it is, the suite is told
            answer(error=f"{type(error).__name__}: {error}")


def main() -> None:
    complaints = Complaints()
    asyncio.run(serve(importlib.import_module(sys.argv[1]), complaints))


if __name__ == "__main__":
    main()
