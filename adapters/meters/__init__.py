"""Meters: frame codecs, streams of reports, a simulated season."""
