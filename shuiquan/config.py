"""Where a ledger lies and which policy it is made with."""

from pathlib import Path
from typing import Final

from ledger.codes import Code, Refused
from ledger.policy import Policy
from ledger.policy_file import read_policy
from ledger.policy_rules import check_policy

DISTRICTS: Final = Path(__file__).parent / "districts"
SQLITE: Final = "sqlite:///"


def parse_target(target: str | Path) -> Path:
    """The file of a ledger, from a path or a `sqlite:///` address. Raises Refused for another scheme."""
    text = str(target)
    if text.startswith(SQLITE):
        return Path(text.removeprefix(SQLITE))
    if "://" in text:
        raise Refused(Code.STORE_NOT_OURS, "url", text, "a path or sqlite:///path")
    return Path(text)


def districts() -> list[str]:
    """Names of the built-in policies."""
    return sorted(path.stem for path in DISTRICTS.glob("*.toml"))


def load_policy(policy: str | Path | Policy | None) -> Policy | None:
    """A policy by the name of a built-in district, from a TOML file, or as it is. Raises Refused for a bad one."""
    if policy is None:
        return None
    if isinstance(policy, Policy):
        check_policy(policy)
        return policy
    if isinstance(policy, str) and policy in districts():
        return read_policy(DISTRICTS / f"{policy}.toml")
    return read_policy(Path(policy))
