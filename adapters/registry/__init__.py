"""Registers of a water bureau: reading, checking and importing them, and a made-up one for trials."""
