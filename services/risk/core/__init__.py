"""Pure: rules, sizing, prices, and the state they are judged on."""
