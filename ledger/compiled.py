"""The compiler of this room's kernels, which call those of `matching`: their cache depends on both."""

from pathlib import Path

import matching
from matching.compiled import cache_folder, compiler

kernel = compiler(cache_folder(Path(matching.__file__).parent, Path(__file__).parent))
"""Compiles the kernels of this room."""
