"""Reading a policy from its text: a TOML file in cubic metres, yuan and shares; floats are refused (contract K13)."""

import tomllib
from pathlib import Path
from typing import Any, Final

import msgspec

from ledger.codes import Code, Refused
from ledger.policy import Policy
from ledger.policy_rules import check_policy
from ledger.units import fen, litres, ppm, whole

IN_M3: Final = "_m3"


def read_policy(path: Path) -> Policy:
    """The policy in a TOML file. Raises Refused naming the key, the value and the rule it breaks."""
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise Refused(Code.POLICY_INVALID, "file", str(path.name), str(problem)) from None
    return parse_policy(raw)


def parse_policy(raw: dict[str, Any]) -> Policy:
    """The policy in a parsed TOML document, its volumes in m³, its prices in yuan, its shares as decimals."""
    refuse_floats(raw, "")
    try:
        policy = msgspec.convert(to_integers(raw), Policy)
    except KeyError as missing:
        raise Refused(Code.POLICY_INVALID, str(missing.args[0]), None, "required: see docs/policy.md") from None
    except (msgspec.ValidationError, TypeError, AttributeError) as problem:
        raise Refused(Code.POLICY_INVALID, "policy", str(problem), "see docs/policy.md") from None
    check_policy(policy)
    return policy


def refuse_floats(value: Any, path: str) -> None:
    """Raise Refused (POLICY_FLOAT) for the first float anywhere in a document."""
    if isinstance(value, float):
        raise Refused(Code.POLICY_FLOAT, path, value, 'write it in quotes, as "0.3"')
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        refuse_floats(item, f"{path}.{key}" if path else str(key))


def to_integers(raw: dict[str, Any]) -> dict[str, Any]:
    """A copy of the document with every volume in litres, price in ticks and share in parts per million."""
    return raw | {
        "indexes": [in_litres(row) for row in raw["indexes"]],
        "caps": [in_litres(row) for row in raw["caps"]],
        "passages": [in_litres(row) for row in raw["passages"]],
        "instruments": [instrument_integers(row) for row in raw["instruments"]],
        "fees": {f"{side}_ppm": ppm(share, f"fees.{side}") for side, share in raw["fees"].items()},
        "thresholds": in_litres(raw["thresholds"]),
        "rules": {name: rule for name, rule in raw["rules"].items() if name != "basic_need"}
        | {"basic_need_ppm": ppm(raw["rules"]["basic_need"], "rules.basic_need")},
    }


def in_litres(row: dict[str, Any]) -> dict[str, Any]:
    """A table with each `x_m3` as `x_l`."""
    return {
        f"{key.removesuffix(IN_M3)}_l" if key.endswith(IN_M3) else key: litres(value, key)
        if key.endswith(IN_M3)
        else value
        for key, value in row.items()
    }


def instrument_integers(row: dict[str, Any]) -> dict[str, Any]:
    """An instrument with its lot in litres and its prices in ticks. A tick on a lot must be whole fen (K25)."""
    tick = row["tick_yuan_per_m3"]
    tick_fen = whole(tick, fen(row["lot_m3"]), "tick_yuan_per_m3")  # yuan/m³ x m³ a lot x 100
    if tick_fen <= 0:
        raise Refused(Code.POLICY_INVALID, "tick_yuan_per_m3", tick, "above zero")

    def ticks(name: str) -> int:
        number, rest = divmod(whole(row[name], fen(row["lot_m3"]), name), tick_fen)
        if rest:
            raise Refused(Code.POLICY_INVALID, name, row[name], f"a multiple of the tick {tick}")
        return number

    given = {"lot_m3", "tick_yuan_per_m3", "max_yuan_per_m3", "reference_yuan_per_m3", "band"}
    return {key: value for key, value in row.items() if key not in given} | {
        "lot_l": litres(row["lot_m3"], "lot_m3"),
        "tick_fen": tick_fen,
        "max_price": ticks("max_yuan_per_m3"),
        "reference_price": ticks("reference_yuan_per_m3"),
        "band_ppm": ppm(row["band"], "band"),
    }
