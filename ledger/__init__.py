"""The ledger: accounts, facts, rules, the record format and the state they lead to."""
