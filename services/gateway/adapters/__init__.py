"""The two ways to IBKR, behind one port: the TWS API (`tws`) and the Client Portal Web API (`web`)."""
