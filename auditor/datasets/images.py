"""Reading an image file as the pixels a person would see."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from auditor.errors import CaseError
from auditor.types import Mask, Size

_ORIENTATION_TAG, _WIDTH_TAG, _HEIGHT_TAG = 274, 256, 257

UNDECODABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    ArithmeticError,
    AssertionError,
    LookupError,
    NotImplementedError,
    TypeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow raises over damaged files, as fuzzing it shows; not only what it documents."""


class Picture(NamedTuple):
    """An image turned upright, and how it was stored."""

    image: Image.Image
    """RGB, upright."""
    stored: Size
    """(height, width) of the file's own pixel array, before its EXIF orientation."""
    orientation: int
    """EXIF orientation, 1 to 8; 1 where the file says nothing."""

    @property
    def size(self) -> Size:
        """(height, width) as displayed."""
        return self.image.height, self.image.width


def read_image(path: Path) -> Picture:
    """Read any mode that Pillow opens as upright RGB.

    Grey, palette and CMYK images are converted; 16-bit grey is scaled from its full range
    (not clipped, as Pillow's own conversion does); 32-bit integers and floats likewise if
    their values say 0..1, 0..255 or 0..65535. Transparency is dropped, as torchvision's
    loader does, so that the model sees what it saw in training. Of an animation, the first
    frame. Raises `CaseError` ("unreadable") naming the file and the cause.
    """
    # No `warnings.catch_warnings` here: it changes global state, and images are read in threads.
    try:
        with Image.open(path) as opened:
            stored, orientation = _as_stored(opened)
            opened.load()
            image = _to_rgb(opened)
            left = _orientation(opened)  # 1 for TIFF, which Pillow turns while it loads
            return Picture(image if left == 1 else _upright(image, left), stored, orientation)
    except FileNotFoundError:
        raise CaseError("unreadable", f"{path}: no such file") from None
    except UNDECODABLE as error:
        cause = str(error).replace(str(path), path.name)
        raise CaseError("unreadable", f"{path}: cannot be decoded: {cause}") from None


def read_header(path: Path) -> tuple[Size, int]:
    """(height, width) as stored and the EXIF orientation, without decoding the pixels.

    The same as `read_image` finds. Raises `CaseError` ("unreadable").
    """
    try:
        with Image.open(path) as opened:
            return _as_stored(opened)
    except FileNotFoundError:
        raise CaseError("unreadable", f"{path}: no such file") from None
    except UNDECODABLE as error:
        cause = str(error).replace(str(path), path.name)
        raise CaseError("unreadable", f"{path}: cannot be opened: {cause}") from None


def _as_stored(opened: Image.Image) -> tuple[Size, int]:
    """(height, width) of the file's own pixel array, and its orientation; before loading."""
    most = Image.MAX_IMAGE_PIXELS
    if most is not None and opened.width * opened.height > most:
        # Pillow only warns up to twice as many.
        raise ValueError(f"{opened.width}×{opened.height} pixels are more than {most}")
    size = opened.height, opened.width
    if isinstance(opened, TiffImagePlugin.TiffImageFile):
        # Pillow gives the size after turning; the mask may be drawn on what is stored.
        size = int(opened.tag_v2[_HEIGHT_TAG]), int(opened.tag_v2[_WIDTH_TAG])
    return size, _orientation(opened)


def _orientation(opened: Image.Image) -> int:
    orientation = opened.getexif().get(_ORIENTATION_TAG, 1)
    return orientation if orientation in range(1, 9) else 1


def orient(mask: Mask, orientation: int) -> Mask:
    """A stored [height, width] array turned upright by an EXIF orientation, 1 to 8.

    CIPA DC-008 (Exif), tag 274.
    """
    if orientation >= 5:
        mask = mask.T
    if orientation in (3, 4, 7, 8):
        mask = mask[::-1]
    if orientation in (2, 3, 6, 7):
        mask = mask[:, ::-1]
    return mask


_TRANSPOSITIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    return image.transpose(_TRANSPOSITIONS[orientation])


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image.copy()
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_bytes(np.asarray(image))).convert("RGB")
    # Pillow warns where it drops the transparent entries of a palette; here that is meant.
    image.info.pop("transparency", None)
    return image.convert("RGB")


def _to_bytes(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    is_16_bit = values.dtype.kind == "u" and values.dtype.itemsize == 2  # of either byte order
    numbers = values.astype(np.float64)
    low, high = float(numbers.min()), float(numbers.max())
    if not (np.isfinite(low) and np.isfinite(high)) or low < 0 or high > 65535:
        raise ValueError(f"values from {low:g} to {high:g} are no brightness; convert the file")
    top = 65535 if is_16_bit else next(top for top in (1, 255, 65535) if high <= top)
    return np.asarray(np.floor(numbers * (255 / top) + 0.5), dtype=np.uint8)
