"""The journal: pages, records, the chain, and what is asked of a store."""
