"""The only process that talks to Interactive Brokers.

Decides: nothing about trading; whether an order may go on the wire (session ready, not expired, not sent before), and
         what the broker's statuses and error codes mean.
Reads:   broker.commands, market.commands; the TWS API or Client Portal Web API connection.
Writes:  broker.events, market.quotes, market.ticks.
Owns:    broker_orders, leases; the connection to IBKR, its client id and its order ids.
"""
