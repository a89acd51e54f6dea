"""Other local processes submit to a ledger's writer through a Unix domain socket beside its file."""
