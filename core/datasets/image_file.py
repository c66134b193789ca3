"""One image file: its size without decoding it, and its pixels as a small square array. Safe for hostile files.

Only the formats below are tried, by content and not by name, and the pixel count is checked before decoding.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
MAX_PIXELS = 20_000_000
MAX_FILE_BYTES = 64_000_000
TOO_LARGE = f"larger than the {MAX_FILE_BYTES / 1e6:.0f} MB allowed for one image"
HEADER_BYTES = 64 * 1024  # enough to find the size of nearly every image; else the whole file is read
KEEP_SIDE = 96  # images that all have the same square size up to this keep it
SIDES = (32, 64, 96, 128, 224)  # the automatic sizes
THREADS = min(4, os.cpu_count() or 1)
THREADS_FROM_PIXELS = 200 * 200  # below this, most of the time is spent in Python and threads only slow each other down
ORIENTATION_TAGS = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")


class Unreadable(Exception):  # noqa: N818 - about one file, collected and listed; not an error of the program
    """One file that is not a usable image; its text says why."""


def _open(data: bytes) -> Any:
    from PIL import Image

    im = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = im.size
    if width * height > MAX_PIXELS:
        raise Unreadable(f"{width} x {height} pixels, at most {MAX_PIXELS / 1e6:g} million are allowed")
    return im


@contextmanager
def verdict() -> Iterator[None]:
    """Turn any exception of the decoder on a hostile or damaged file into Unreadable. MemoryError passes through."""
    from PIL import UnidentifiedImageError

    try:
        yield
    except (Unreadable, MemoryError):
        raise
    except UnidentifiedImageError:
        raise Unreadable(f"not a {', '.join(FORMATS)} image") from None
    except Exception as error:  # the decoders raise OSError, SyntaxError, ValueError, struct.error and more
        raise Unreadable(" ".join(str(error).split()) or type(error).__name__) from error


def quick_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) of a PNG or JPEG from its first bytes, ten times faster than opening it; None if unsure.

    Only for choosing a common size: nothing is validated here, decoding does that.
    """
    if data[:8] == b"\x89PNG\r\n\x1a\n" and data[12:16] == b"IHDR":
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    at = 2 if data[:2] == b"\xff\xd8" else len(data)
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # start of frame
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def image_size(data: bytes) -> tuple[int, int]:
    """(width, height) from the header as the decoder reads it, without decoding. Raises Unreadable."""
    with verdict():
        return _open(data).size


def decode(data: bytes, side: int) -> np.ndarray:
    """[3, side, side] uint8: upright by its EXIF, RGB, short side scaled to `side`, center cropped. Raises Unreadable.

    Transparency is dropped, an animation gives its first frame, 16-bit gray keeps its upper 8 bits.
    """
    from PIL import Image, ImageOps

    with verdict():
        im = _open(data)
        short = min(im.size)
        if im.format == "JPEG" and short >= 4 * side:  # let the decoder downscale first: far faster, no visible loss
            im.draft(None, (im.width * 2 * side // short, im.height * 2 * side // short))
        im.load()
        if any(tag in im.info for tag in ORIENTATION_TAGS):
            im = ImageOps.exif_transpose(im)
        im = _rgb(im)
        if im.size != (side, side):
            short = min(im.size)
            left, top = (im.width - short) / 2, (im.height - short) / 2
            im = im.resize(
                (side, side), Image.Resampling.BILINEAR, box=(left, top, left + short, top + short), reducing_gap=3.0
            )
        return np.asarray(im, dtype=np.uint8).transpose(2, 0, 1)


def _rgb(im: Any) -> Any:
    from PIL import Image

    if im.mode == "RGB":
        return im
    if im.mode.startswith("I"):  # 16-bit gray; Pillow's own conversion would clip it to white
        im = Image.fromarray(np.clip(np.asarray(im, dtype=np.int64) >> 8, 0, 255).astype(np.uint8))
    if im.mode in ("P", "PA", "LA", "La"):
        im = im.convert("RGBA")
    return im.convert("RGB")


def automatic_side(sizes: Iterable[tuple[int, int]]) -> int:
    """The size to decode to: the common one if all are the same small square, else the largest of SIDES that is not above
    the median short side (the smallest of SIDES if all are)."""
    seen = np.array(list(sizes))
    width, height = seen[0]
    if width == height and width <= KEEP_SIDE and (seen == seen[0]).all():
        return max(int(width), 8)
    median = float(np.median(seen.min(axis=1)))
    return max((s for s in SIDES if s <= median), default=SIDES[0])
