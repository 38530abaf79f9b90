"""The order book of the broker: every order it knows, and the ways to find those that matter."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from services.simulator.core.orders import Leg, Order, OrderKey, OrderRequest, Status

_Side: TypeAlias = tuple[str, int, tuple[Leg, ...], str]


@dataclass(slots=True)
class OrderBook:
    """Every order the broker knows, by key, in the order received. What still works is indexed."""

    orders: dict[OrderKey, Order] = field(default_factory=dict[OrderKey, Order])
    highest_id: dict[int, int] = field(default_factory=dict[int, int])
    """The highest order id each client has used, also for orders that were refused."""
    _open: dict[OrderKey, Order] = field(default_factory=dict[OrderKey, Order], compare=False)
    """Held and live orders, and some that were completed since somebody asked last."""
    _sides: dict[_Side, dict[OrderKey, Order]] = field(
        default_factory=dict[_Side, dict[OrderKey, Order]], compare=False
    )
    """The same by account, contract and action, none of which can change; each is cleared when it is asked for."""
    _children: dict[OrderKey, list[OrderKey]] = field(default_factory=dict[OrderKey, list[OrderKey]])
    _groups: dict[str, list[OrderKey]] = field(default_factory=dict[str, list[OrderKey]])

    def add(self, order: Order) -> None:
        """Enter a new order, or one that takes the place of a held order of the same key."""
        key = order.request.key
        if key in self.orders:
            self.remove(key)
        self.orders[key] = self._open[key] = order
        self._sides.setdefault(_side(order.request), {})[key] = order
        if order.request.parent_id:
            self._children.setdefault((key[0], order.request.parent_id), []).append(key)
        if order.oca_group:
            self._groups.setdefault(order.oca_group, []).append(key)

    def remove(self, key: OrderKey) -> None:
        order = self.orders.pop(key)
        self._open.pop(key, None)
        self._sides[_side(order.request)].pop(key, None)
        if order.request.parent_id:
            self._children[key[0], order.request.parent_id].remove(key)
        if order.oca_group:
            self._groups[order.oca_group].remove(key)

    def live(self) -> list[Order]:
        return [order for order in _still_open(self._open) if order.live]

    def active(self, like: OrderRequest) -> int:
        """Return how many live orders the account of `like` has on its side of its contract."""
        return sum(order.live for order in _still_open(self._sides.get(_side(like), {})))

    def held(self) -> list[Order]:
        """Orders that were never transmitted."""
        return [order for order in _still_open(self._open) if order.status is Status.HELD]

    def parent(self, order: Order) -> Order | None:
        client, parent_id = order.request.client_id, order.request.parent_id
        return self.orders.get((client, parent_id)) if parent_id else None

    def children(self, parent: Order) -> list[Order]:
        return self._of(self._children.get(parent.request.key, ()))

    def family(self, order: Order) -> list[Order]:
        """A parent, its children and theirs, or the order alone; the parent first."""
        found = [self.orders[order.root]] if order.root in self.orders else [order]
        for member in found:  # grows while it is walked
            found.extend(self.children(member))
        return found

    def oca_siblings(self, order: Order) -> list[Order]:
        """The live orders of the same group, without the order itself."""
        if not order.oca_group:
            return []
        return [other for other in self.group(order.oca_group) if other.live and other is not order]

    def group(self, name: str) -> list[Order]:
        """Every order that an OCA group has ever had."""
        return self._of(self._groups.get(name, ()))

    def _of(self, keys: Iterable[OrderKey]) -> list[Order]:
        return [self.orders[key] for key in keys]


def _side(request: OrderRequest) -> _Side:
    return request.account, request.contract_id, request.legs, request.action


def _still_open(orders: dict[OrderKey, Order]) -> list[Order]:
    """Strike off what was completed; return the held and the live ones."""
    done = [key for key, order in orders.items() if not order.live and order.status is not Status.HELD]
    for key in done:
        del orders[key]
    return list(orders.values())
