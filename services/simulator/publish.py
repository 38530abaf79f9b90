"""Pushes market data to the clients that subscribed to it, after every step of time.

Quotes and depth are conflated: a client gets the last state of each step, as far as it has changed (TWS sends samples
as well, several a second). Tick-by-tick data and five-second bars are complete. Scans are repeated every 30 seconds of
virtual time, which is when TWS refreshes them.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from services.simulator.core import real_time
from services.simulator.core.engine import Engine
from services.simulator.core.history import updates
from services.simulator.core.news import NewsDesk
from services.simulator.core.scans import scan
from services.simulator.core.tick_data import stretches
from services.simulator.data_subscriptions import LiveHistory, QuoteLine, ScannerLine, SecondsStream, TickStream
from services.simulator.present import bars as present_bars
from services.simulator.present import news as present_news
from services.simulator.present import scanner as present_scanner
from services.simulator.present import ticks as present_ticks
from services.simulator.publish_depth import send_depth
from services.simulator.publish_quotes import QuoteSender
from services.simulator.session import ClientSession
from services.simulator.wire import answers

SCAN_INTERVAL = timedelta(seconds=30)


class MarketPublisher:
    """Reads one engine's market. Nothing is computed that nobody has subscribed to."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._quotes = QuoteSender(engine.market, engine.now)
        self.news = NewsDesk(engine.market)

    def publish(self, sessions: Iterable[ClientSession], before: datetime) -> None:
        """Send everything that happened later than `before`."""
        sender = self._quotes.at(self._engine.now)
        for session in sessions:
            data = session.data
            for request_id, line in data.quotes.items():
                sender.send(session, request_id, line)
                if line.providers:
                    self._send_news(session, request_id, line, before)
            for request_id, seconds in data.seconds.items():
                self._send_seconds(session, request_id, seconds, before)
            for request_id, stream in data.ticks.items():
                self._send_ticks(session, request_id, stream, before)
            for request_id, depth in data.depth.items():
                send_depth(session, request_id, depth, self._engine.market, self._engine.now)
            for request_id, live in data.history.items():
                self._send_history(session, request_id, live, before)
            for request_id, scanner in data.scanners.items():
                self.send_scan(session, request_id, scanner)
            if data.bulletins:
                self.send_bulletins(session, before)

    # -- one subscription -------------------------------------------------------------------------------------------

    def send_quote(self, session: ClientSession, request_id: int, line: QuoteLine) -> None:
        """Send a line what it has not got yet."""
        self._quotes.at(self._engine.now).send(session, request_id, line)

    def send_type(self, session: ClientSession, request_id: int, line: QuoteLine) -> None:
        """Say whether a line's values are live, delayed or frozen."""
        self._quotes.at(self._engine.now).send_type(session, request_id, line)

    def _send_seconds(self, session: ClientSession, request_id: int, stream: SecondsStream, before: datetime) -> None:
        market, contract_id = self._engine.market, stream.instrument.contract_id
        for bar in real_time.five_second_bars(
            market, contract_id, stream.show, before, self._engine.now, regular=stream.regular
        ):
            session.send(answers.REAL_TIME_BAR, present_bars.real_time_bar(request_id, bar))

    def _send_ticks(self, session: ClientSession, request_id: int, stream: TickStream, before: datetime) -> None:
        kind, find = present_ticks.STREAMS[stream.kind]
        for stretch in stretches(self._engine.market, stream.instrument.contract_id, before, self._engine.now):
            for tick in find(stretch.tape, stretch.first, stretch.beyond):
                session.send(answers.TICK_BY_TICK, present_ticks.tick_by_tick(request_id, kind, tick))

    def _send_history(self, session: ClientSession, request_id: int, live: LiveHistory, before: datetime) -> None:
        engine = self._engine
        for bar in updates(engine.market, live.query, before, engine.now, engine.today):
            row = present_bars.historical_bar(bar, live.format_date, session.version)
            session.send(answers.HISTORICAL_DATA_UPDATE, {**row, "request_id": request_id})

    def send_scan(self, session: ClientSession, request_id: int, line: ScannerLine) -> None:
        """Repeat a scan if it is time, and send its rows if they are others or never were sent."""
        engine = self._engine
        if line.next_at is not None and engine.now < line.next_at:
            return
        stocks = scan(engine.market, line.query, engine.now, engine.today)
        found = tuple(stock.contract_id for stock in stocks)
        if line.next_at is None or found != line.sent:
            session.send(answers.SCANNER_DATA, present_scanner.scanner_data(request_id, stocks))
        line.sent, line.next_at = found, engine.now + SCAN_INTERVAL

    def _send_news(self, session: ClientSession, request_id: int, line: QuoteLine, before: datetime) -> None:
        for story in self.news.between(line.instrument.contract_id, before, self._engine.now):
            if story.provider in line.providers:
                session.send(answers.TICK_NEWS, present_news.tick_news(request_id, story))

    def send_bulletins(self, session: ClientSession, before: datetime) -> None:
        """Send the notices of the exchange later than `before`."""
        for bulletin in self.news.bulletins(before, self._engine.now):
            session.send(answers.NEWS_BULLETIN, present_news.bulletin(bulletin))
