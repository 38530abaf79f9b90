"""What is listed: search, definitions, option chains, rules and trading hours, read from the catalogue."""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

from services.simulator.core.bars import Frame
from services.simulator.core.catalogue import ContractQuery
from services.simulator.core.futures import ROOTS
from services.simulator.core.instruments import Instrument, SecurityType
from services.simulator.web.call import Call, Handler, WebError, number
from services.simulator.web.contract_rows import (
    day_hours,
    day_hours_in_seconds,
    definition,
    details,
    month_name,
    rules,
    search_row,
    short_names,
    zone_of,
)
from services.simulator.web.portal import Portal

_DAYS = 7
"""Assumed: trading schedules reach a week ahead."""
_MONTHS = {f"{date(2000, month, 1):%b}".upper(): month for month in range(1, 13)}


class ContractPaths:
    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self._engine = portal.engine
        self._market = portal.market
        self._catalogue = portal.market.catalogue

    # -- finding ----------------------------------------------------------------------------------------------------

    async def stocks(self, call: Call) -> object:
        found = self._market.catalogue.listed
        return {
            symbol: [_stock(one) for one in found if one.symbol == symbol and one.security_type is SecurityType.STOCK]
            for symbol in _symbols(call)
        }

    async def futures(self, call: Call) -> object:
        return {symbol: [_future(one) for one in self._find(symbol, SecurityType.FUTURE)] for symbol in _symbols(call)}

    async def currency_pairs(self, call: Call) -> object:
        """Pairs are quoted against the dollar here, so another currency has the one pair with it."""
        currency = call.required("currency")
        pairs = [one for one in self._catalogue.listed if one.security_type is SecurityType.CURRENCY]
        wanted = [one for one in pairs if currency in (one.symbol, one.currency)]
        rows = [
            {
                "symbol": one.local_symbol,
                "conid": one.contract_id,
                "ccyPair": one.symbol if one.currency == currency else one.currency,
            }
            for one in wanted
        ]
        return {currency: rows}

    async def search(self, call: Call) -> object:
        """Every stock, index and pair whose symbol is the text; with `name`, those whose name contains it."""
        text, kind = call.required("symbol").upper(), call.query.get("secType", "")
        found = [one for one in self._catalogue.listed if _matches(one, text, kind, by_name=call.flag("name"))]
        return [search_row(one, self._sections(one)) for one in found]

    def _sections(self, instrument: Instrument) -> list[dict[str, str]]:
        sections = [{"secType": str(instrument.security_type)}]
        chains = self._catalogue.chain(instrument.contract_id, self._engine.now)
        if chains:
            months = _month_names(chains[0].expiries)
            sections.append(
                {"secType": "OPT", "months": months, "exchange": ";".join(chain.exchange for chain in chains)}
            )
        futures = self._on(instrument)
        if futures:
            exchanges = ";".join(dict.fromkeys(one.exchange for one in futures))
            sections.append({"secType": "FUT", "months": _month_names(_expiries(futures)), "exchange": exchanges})
        return sections

    def _on(self, instrument: Instrument) -> list[Instrument]:
        """Return the futures on an index."""
        if "FUT" not in self._catalogue.derivatives(instrument.contract_id):
            return []
        found = [self._find(root, SecurityType.FUTURE) for root in ROOTS]
        return [one for each in found for one in each if one.underlying_id == instrument.contract_id]

    def _find(self, symbol: str, kind: SecurityType, **more: object) -> list[Instrument]:
        query = ContractQuery(symbol=symbol, security_type=kind, **more)  # type: ignore[arg-type]
        return self._catalogue.find(query, self._engine.now)

    # -- definitions ------------------------------------------------------------------------------------------------

    async def definitions(self, call: Call) -> object:
        found = [self._known(contract_id) for contract_id in call.conids()]
        return {"secdef": [definition(one, self._catalogue.has_options(one.contract_id)) for one in found if one]}

    def _known(self, contract_id: int) -> Instrument | None:
        try:
            return self._market.instrument(contract_id)
        except KeyError:
            return None

    async def info(self, call: Call) -> object:
        return details(call.instrument(self._market))

    async def info_and_rules(self, call: Call) -> object:
        found = call.instrument(self._market)
        return {**details(found), "rules": rules(found, list(self._engine.accounts), self._price(found))}

    def _price(self, instrument: Instrument) -> Decimal:
        quote = self._market.quote(instrument.contract_id, self._engine.now)
        return instrument.unit if quote is None else quote.last

    # -- chains -----------------------------------------------------------------------------------------------------

    async def strikes(self, call: Call) -> object:
        found = self._options(call)
        return {
            name: sorted({float(one.strike) for one in found if one.right == right})
            for name, right in (("call", "C"), ("put", "P"))
        }

    async def derivative_info(self, call: Call) -> object:
        strike, right = number("strike", call.query.get("strike")), call.query.get("right", "")
        kind = call.required("sectype")
        found = self._options(call) if kind == SecurityType.OPTION else self._futures_of(call)
        wanted = [one for one in found if strike in (None, one.strike) and right in ("", one.right)]
        if not wanted:
            raise WebError(500, "No Contracts retrieved for given parameters")
        return [{**details(one), **short_names(one)} for one in wanted]

    def _options(self, call: Call) -> list[Instrument]:
        stock, month = call.instrument(self._market), _month(call.required("month"))
        return self._find(stock.symbol, SecurityType.OPTION, expiry=month)

    def _futures_of(self, call: Call) -> list[Instrument]:
        index, month = call.instrument(self._market), _month(call.required("month"))
        return [one for one in self._on(index) if one.expiry and f"{one.expiry:%Y%m}" == month]

    # -- hours ------------------------------------------------------------------------------------------------------

    async def schedule(self, call: Call) -> object:
        """Trading hours of today and the next days, in epoch seconds ("Trading Schedule (NEW)")."""
        found = call.instrument(self._market)
        schedules = {f"{frame.day:%Y%m%d}": day_hours_in_seconds(frame) for frame in self._frames(found)}
        return {"exchange_time_zone": str(zone_of(found)), "schedules": schedules}

    async def schedule_by_symbol(self, call: Call) -> object:
        symbol, kind = call.required("symbol"), call.required("assetClass")
        found = [one for one in self._catalogue.listed if one.symbol == symbol and one.security_type == kind]
        if not found and kind == SecurityType.FUTURE:
            found = self._find(symbol, SecurityType.FUTURE)[:1]
        return [
            {
                "id": f"p{one.contract_id}",
                "tradeVenueId": one.primary_exchange,
                "exchange": one.primary_exchange,
                "description": one.primary_exchange,
                "timezone": str(zone_of(one)),
                "schedules": [day_hours(frame, zone_of(one)) for frame in self._frames(one)],
            }
            for one in found
        ]

    def _frames(self, instrument: Instrument) -> list[Frame]:
        days = [self._engine.today + timedelta(days=offset) for offset in range(_DAYS)]
        frames = [self._market.frame(instrument.contract_id, day) for day in days]
        return [frame for frame in frames if frame is not None]

    def paths(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/trsrv/stocks", self.stocks),
            ("GET", "/trsrv/futures", self.futures),
            ("GET", "/trsrv/secdef", self.definitions),
            ("GET", "/trsrv/secdef/schedule", self.schedule_by_symbol),
            ("GET", "/contract/trading-schedule", self.schedule),
            ("GET", "/iserver/secdef/search", self.search),
            ("GET", "/iserver/secdef/strikes", self.strikes),
            ("GET", "/iserver/secdef/info", self.derivative_info),
            ("GET", "/iserver/contract/{conid}/info", self.info),
            ("GET", "/iserver/contract/{conid}/info-and-rules", self.info_and_rules),
            ("GET", "/iserver/currency/pairs", self.currency_pairs),
        ]


def _symbols(call: Call) -> list[str]:
    return [symbol for symbol in call.required("symbols").split(",") if symbol]


def _matches(one: Instrument, text: str, kind: str, *, by_name: bool) -> bool:
    if kind and one.security_type != kind:
        return False
    return text in one.long_name.upper() if by_name else text in (one.symbol, one.local_symbol)


def _stock(one: Instrument) -> dict[str, object]:
    contract = {"conid": one.contract_id, "exchange": one.primary_exchange, "isUS": True}
    return {"name": one.long_name, "chineseName": None, "assetClass": "STK", "contracts": [contract]}


def _future(one: Instrument) -> dict[str, object]:
    expiry = int(f"{one.expiry:%Y%m%d}") if one.expiry else 0
    return {
        "symbol": one.symbol,
        "conid": one.contract_id,
        "underlyingConid": one.underlying_id,
        "expirationDate": expiry,
        "ltd": expiry,
        "shortFuturesCutOff": expiry,
        "longFuturesCutOff": expiry,
    }


def _expiries(found: Iterable[Instrument]) -> list[date]:
    return [one.expiry for one in found if one.expiry is not None]


def _month_names(expiries: Iterable[date]) -> str:
    return ";".join(dict.fromkeys(month_name(expiry) for expiry in sorted(expiries)))


def _month(text: str) -> str:
    """Return `202701` for `JAN27`. Raises WebError 400 for what is not a month."""
    if text[:3] not in _MONTHS or not (len(text) == 5 and text[3:].isdecimal()):
        raise WebError(400, f"Bad Request: month {text[:20]!r} is not written like JAN27")
    return f"20{text[3:]}{_MONTHS[text[:3]]:02d}"
