"""The Yongchuan pilot, end to end, on a ledger that stays afterwards."""
