"""The market scanner as TWS API messages."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

from services.simulator.core.instruments import Instrument
from services.simulator.core.scans import LOCATIONS, SCANS
from services.simulator.present.contracts import contract
from services.simulator.wire.layout import Values

_SHOWN = ("con_id", "symbol", "sec_type", "expiry", "strike", "right", "currency", "local_symbol", "trading_class")
_FILTERS = ("priceAbove", "priceBelow", "volumeAbove", "changePercAbove", "changePercBelow", "stkTypes")


def scanner_data(request_id: int, stocks: Sequence[Instrument]) -> Values:
    """Return the rows of a scan, best first."""
    rows: list[Values] = []
    for rank, stock in enumerate(stocks):
        fields = contract(stock, "SMART")
        rows.append(
            {**{name: fields[name] for name in _SHOWN}, "exchange": "SMART", "rank": rank,
             "market_name": stock.trading_class}
        )  # fmt: skip
    return {"request_id": request_id, "rows": rows}


def parameters() -> str:
    """Return what can be scanned, in the elements that clients look for in TWS's own document."""
    locations = "".join(
        f"<Location><displayName>{place}</displayName><locationCode>{place}</locationCode></Location>"
        for place in LOCATIONS
    )
    scans = "".join(
        f"<ScanType><displayName>{escape(name)}</displayName><scanCode>{code}</scanCode>"
        "<instruments>STK,ETF.EQ.US</instruments></ScanType>"
        for code, (name, _) in SCANS.items()
    )
    filters = "".join(
        f"<RangeFilter><id>{name}</id><AbstractField><code>{name}</code></AbstractField></RangeFilter>"
        for name in _FILTERS
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        "<ScanParameterResponse><InstrumentList><Instrument><name>US Stocks</name><type>STK</type></Instrument>"
        "<Instrument><name>US Equity ETFs</name><type>ETF.EQ.US</type></Instrument></InstrumentList>"
        f"<LocationTree>{locations}</LocationTree><ScanTypeList>{scans}</ScanTypeList>"
        f"<FilterList>{filters}</FilterList></ScanParameterResponse>"
    )
