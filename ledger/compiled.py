"""The compiler of this room's kernels, which call those of `matching`: their cache depends on both."""

from pathlib import Path
from typing import Final

import matching
from matching.compiled import cache_folder, compiler

CACHE: Final = cache_folder(Path(matching.__file__).parent, Path(__file__).parent)

kernel = compiler(CACHE)
"""Compiles the kernels of this room."""

short_kernel = compiler(CACHE, nogil=False)
"""Compiles kernels so short that getting the interpreter back from a busy thread would take longer than they do."""
