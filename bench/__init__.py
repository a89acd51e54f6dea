"""Measurements. Nothing imports this room."""
