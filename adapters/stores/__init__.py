"""Stores: the journal, the read models and the side register in SQLite."""
