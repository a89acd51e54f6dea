"""Audit: keys and tree beside a ledger, sinks outside it, and what makes checkpoints, proofs and receipts."""
