"""IBKR's Client Portal Web API through ibind: the only place that knows its paths, field numbers and topics.

What differs from the TWS API, and what follows from it:

- IBKR numbers the orders: the ids that `submit` is given never reach the wire, and `OrderReported.broker_order_id` is
  IBKR's own. Our orderRef is sent as `cOID`, which IBKR takes once in 24 hours, so an order that is sent again is
  refused and never doubled. The children of a bracket must not carry one: they are known by the ids in the answer, by
  what an earlier process learned of them (`Orders.recall`), or, where the answer was lost, by their terms.
- IBKR asks back before it takes an order (`questions`).
- Requests and the stream are two connections without a common order, so what ended stays ended, whoever speaks last.

Source of all paths and fields: IBKR Campus, "Web API v1.0 documentation".
"""
