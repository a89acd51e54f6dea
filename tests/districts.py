"""A tiny district for tests: two basins, one limited passage between them, a network, two surface instruments."""

from datetime import UTC, datetime
from typing import Any

from ledger.policy import Policy
from ledger.policy_file import parse_policy

DAY_NS = 86_400 * 10**9
HOUR_NS = 3_600 * 10**9
START_NS = int(datetime(2024, 6, 3, 2, tzinfo=UTC).timestamp()) * 10**9
"""Monday, 3 June 2024, 10:00 in the district."""


class Clock:
    """A clock that tests set."""

    def __init__(self, at_ns: int = START_NS) -> None:
        self.at_ns = at_ns

    def __call__(self) -> int:
        return self.at_ns


def raw_policy() -> dict[str, Any]:
    """The district as a TOML file would give it."""
    document = "测试文号〔2024〕1号"

    def label(code: str) -> dict[str, str]:
        return {"code": code, "zh": code, "en": code}

    def instrument(code: str, source: str, year: int) -> dict[str, Any]:
        return {
            "code": code, "zh": code, "en": code, "source": source, "year": year, "lot_m3": 100,
            "tick_yuan_per_m3": "0.0001", "max_yuan_per_m3": "1.0", "reference_yuan_per_m3": "0.3", "band": "0.5",
            "venue": "测试平台", "session": ["09:00", "17:00"],
            "modes": [{"mode": "continuous", "simulation": True}, {"mode": "agreement", "document": document}],
        }  # fmt: skip

    return {
        "district": "test", "zh": "测试区", "en": "Test", "version": 1, "document": document,
        "time_zone": "Asia/Shanghai", "station_time_zone": "Asia/Shanghai",
        "basins": [label("east"), label("west"), label("far"), label("pipes") | {"network": True}],
        "townships": [label("town"), label("village")],
        "industries": [label("farming"), label("industry"), label("supply"), label("golf")],
        "sources": [label("surface"), label("ground"), label("piped")],
        "indexes": [
            {"source": source, "year": year, "volume_m3": 1_000_000, "document": document}
            for source in ("surface", "ground", "piped") for year in (2024, 2025)
        ],
        "caps": [
            {"source": "surface", "year": 2024, "volume_m3": 1_000_000, "document": document},
            {"source": "surface", "year": 2024, "basin": "east", "volume_m3": 600_000, "document": document},
            {"source": "surface", "year": 2024, "basin": "west", "volume_m3": 500_000, "document": document},
            {"source": "surface", "year": 2024, "township": "town", "volume_m3": 800_000, "document": document},
            {"source": "surface", "year": 2024, "industry": "industry", "volume_m3": 900_000, "document": document},
        ],
        "passages": [
            {"seller": "east", "buyer": "east"}, {"seller": "west", "buyer": "west"},
            {"seller": "far", "buyer": "far"}, {"seller": "pipes", "buyer": "pipes"},
            {"seller": "east", "buyer": "west", "headroom_m3": 20_000}, {"seller": "west", "buyer": "east"},
        ],
        "instruments": [
            instrument("SW-A", "surface", 2024), instrument("SW-B", "surface", 2024), instrument("NET", "piped", 2024),
        ],
        "fees": {"buyer": "0.003", "seller": "0.002"},
        "thresholds": {"surface_m3": 100_000, "ground_m3": 10_000, "irrigation_head_mu": 50_000, "window_hours": 24},
        "rules": {
            "resale_of_bought": False, "basic_need": "0.2", "excluded_sellers": ["supply"], "banned_buyers": ["golf"],
            "late_days": 30,
        },
    }  # fmt: skip


def district() -> Policy:
    """The policy of the district."""
    return parse_policy(raw_policy())
