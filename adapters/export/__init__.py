"""A ledger's facts as tables in open formats, with the records behind them, and back (extra `export`)."""
