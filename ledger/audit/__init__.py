"""Audit: what shows to an outsider that a ledger is whole, and what he can check without it."""

from ledger.audit.verification import Evidence, Verification, check_state, verify

__all__ = ["Evidence", "Verification", "check_state", "verify"]
