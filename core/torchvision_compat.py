"""The one place that imports torchvision, so that it also works beside a CPU-only torch.

On Linux, PyPI's torchvision is compiled against a CUDA torch. Beside a CPU-only torch its extension cannot be loaded,
and `import torchvision` then fails while it registers kernels for two undeclared operators:
"operator torchvision::nms does not exist". Declaring the two schemas first makes the import work. They get no
implementation: nothing here may call a compiled torchvision operator (nms, roi_align, image decoding). The datasets
and the classification models need none.

torch and torchvision are imported inside the functions: the pages import core and must not import either.
"""

from __future__ import annotations

import functools
import importlib
from types import ModuleType
from typing import Any

from core.errors import DataError

SCHEMAS = (  # as the extension itself declares them, torchvision 0.28
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library: list[Any] = []  # keeps the Library alive: when collected, it drops its declarations


@functools.cache
def torchvision() -> ModuleType:
    """The torchvision module. Raises DataError if it cannot be imported."""
    _declare_missing_operators()
    try:
        return importlib.import_module("torchvision")
    except ImportError as error:
        raise DataError(f"torchvision cannot be imported: {error}; install requirements.txt again") from error


def _declare_missing_operators() -> None:
    """Declare the schemas, only if the extension cannot be loaded; otherwise it declares its own."""
    import torch

    if _extension_loads():
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in SCHEMAS:
        if not hasattr(torch.ops.torchvision, schema.partition("(")[0]):
            library.define(schema)
    _library.append(library)


def _extension_loads() -> bool:
    """Whether torchvision's compiled extension loads here, tested without importing the package, which would fail."""
    import importlib.machinery
    import importlib.util

    import torch

    package = importlib.util.find_spec("torchvision")
    if package is None or not package.submodule_search_locations:
        return True  # nothing to fix: the import itself will report that it is missing
    suffixes = importlib.machinery.EXTENSION_SUFFIXES
    loader = (importlib.machinery.ExtensionFileLoader, suffixes)
    found = importlib.machinery.FileFinder(package.submodule_search_locations[0], loader).find_spec("_C")
    if found is None or found.origin is None:
        return False
    try:
        torch.ops.load_library(found.origin)
    except OSError:
        return False
    return True
