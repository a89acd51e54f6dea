"""A sealed ledger with everything that an auditor holds against it, copied for each test that changes something."""

from pathlib import Path

import pytest

from adapters.audit.sink import FolderSink
from tests.audit.sealed import Sealed, seal
from tests.ledger.scripts import play, populate, random_script
from tests.world import World


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Sealed:
    """A closed ledger of about two thousand facts with four checkpoints, to be read only."""
    folder = tmp_path_factory.mktemp("sealed")
    world = World(folder / "ledger.db")
    key = world.exchange.verifier_key
    populate(world)
    script = random_script(11, 80)
    for part in range(0, 80, 20):
        play(world, script[part : part + 20])
        seal(world, folder)
    world.exchange.close()
    return Sealed(folder, key)


@pytest.fixture
def sealed(untouched: Sealed, tmp_path: Path) -> Sealed:
    """A copy of it."""
    return untouched.copied(tmp_path / "copy")


@pytest.fixture(scope="session")
def notes(untouched: Sealed) -> list[str]:
    """The files of its sink."""
    return list(FolderSink(untouched.sink).files())
