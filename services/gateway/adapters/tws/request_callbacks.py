"""The broker's answers to questions, part by part."""

# ruff: noqa: ARG002, N802 - names and arguments are those of ib_async's decoder

from collections.abc import Sequence

from ib_async.contract import Contract, ContractDetails
from ib_async.objects import BarData, NewsProvider, PriceIncrement

from services.gateway.adapters.tws import convert, names
from services.gateway.adapters.tws.answers import NEWS_PROVIDERS, POSITIONS, Answers, market_rule_key
from shared.messages.broker import BrokerPosition


class RequestCallbacks:
    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    # The account

    def position(self, account: str, contract: Contract, quantity: float, average_cost: float) -> None:
        held = BrokerPosition(
            symbol=names.name_of(contract),
            quantity=convert.decimal(quantity),
            average_cost=convert.decimal(average_cost),
        )
        self._answers.add(POSITIONS, (account, held))

    def positionEnd(self) -> None:
        self._answers.done(POSITIONS)

    def accountSummary(self, request_id: int, account: str, tag: str, value: str, currency: str) -> None:
        self._answers.add(request_id, (account, tag, value, currency))

    def accountSummaryEnd(self, request_id: int) -> None:
        self._answers.done(request_id)

    # Contracts

    def contractDetails(self, request_id: int, details: ContractDetails) -> None:
        self._answers.add(request_id, details)

    def contractDetailsEnd(self, request_id: int) -> None:
        self._answers.done(request_id)

    def marketRule(self, rule: int, increments: Sequence[PriceIncrement]) -> None:
        self._answers.add(market_rule_key(rule), increments)
        self._answers.done(market_rule_key(rule))

    def securityDefinitionOptionParameter(
        self,
        request_id: int,
        exchange: str,
        underlying_id: int,
        trading_class: str,
        multiplier: str,
        expirations: Sequence[str],
        strikes: Sequence[float],
    ) -> None:
        self._answers.add(request_id, (exchange, trading_class, multiplier, expirations, strikes))

    def securityDefinitionOptionParameterEnd(self, request_id: int) -> None:
        self._answers.done(request_id)

    # History

    def historicalData(self, request_id: int, told: BarData) -> None:
        self._answers.add(request_id, told)

    def historicalDataEnd(self, request_id: int, start: str, end: str) -> None:
        self._answers.done(request_id)

    # The scanner

    def scannerData(self, request_id: int, rank: int, details: ContractDetails, *_: str) -> None:
        self._answers.add(request_id, (rank, details.contract))

    def scannerDataEnd(self, request_id: int) -> None:
        self._answers.done(request_id)

    # News

    def newsProviders(self, providers: Sequence[NewsProvider]) -> None:
        for provider in providers:
            self._answers.add(NEWS_PROVIDERS, provider.code)
        self._answers.done(NEWS_PROVIDERS)

    def historicalNews(self, request_id: int, time: str, provider: str, article_id: str, headline: str) -> None:
        self._answers.add(request_id, (time, provider, article_id, headline))

    def historicalNewsEnd(self, request_id: int, has_more: bool) -> None:
        self._answers.done(request_id)
