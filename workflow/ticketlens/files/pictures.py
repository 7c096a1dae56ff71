"""Images of a plain folder, to look at a network through them: no classes, no parts."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from ticketlens.files.image_folder import folder_names

SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_IMAGES = 500


class PictureError(ValueError):
    """A folder has no images, or images that do not fit the network; the message names them."""


def read_pictures(
    folder: str | os.PathLike[str], shape: tuple[int, int, int], limit: int = MAX_IMAGES
) -> npt.NDArray[np.uint8]:
    """Return at most `limit` images below a folder, spread evenly over its names.

    `shape` is (height, width, channels) of the network; the result is (n, height, width, channels).
    Grey images are taken as grey colours. Raises PictureError for images of another size, naming
    the first, for files that are no images, and for fewer than two.
    """
    folder = Path(folder)
    names = _chosen(folder, limit)
    height, width, channels = shape
    images = np.empty((len(names), height, width, channels), np.uint8)
    for place, name in enumerate(names):
        path = folder / name
        try:
            with Image.open(path, formats=("PNG", "JPEG")) as image:
                if image.size != (width, height):
                    raise PictureError(
                        f"{path}: {image.size[0]}×{image.size[1]} pixels; the network takes "
                        f"{width}×{height} of {channels} channels"
                    )
                pixels = np.asarray(image.convert("L" if channels == 1 else "RGB"))
        except PictureError:
            raise
        except Exception as error:  # PIL raises many kinds on damaged files
            raise PictureError(f"{path}: not a readable image ({error})") from error
        images[place] = pixels.reshape(height, width, channels)
    return images


def read_labels(
    folder: str | os.PathLike[str], limit: int = MAX_IMAGES
) -> npt.NDArray[np.int64] | None:
    """Return the labels of the images that `read_pictures` takes, or None where there are none.

    The folder that an image lies in is its class, numbered by name, as torchvision's ImageFolder
    has them; images in one folder alone have no labels.
    """
    known = sorted({Path(name).parent.name for name in _names(folder)})
    if "" in known or len(known) < 2:
        return None
    names = [Path(name).parent.name for name in _chosen(Path(folder), limit)]
    return np.array([known.index(name) for name in names], np.int64)


def _names(folder: str | os.PathLike[str]) -> list[str]:
    if not Path(folder).is_dir():
        raise PictureError(f"{folder}: no such folder")
    return [name for name in folder_names(Path(folder)) if name.lower().endswith(SUFFIXES)]


def _chosen(folder: Path, limit: int) -> list[str]:
    """Return at most `limit` names of images, spread evenly over all."""
    names = _names(folder)
    if len(names) < 2:
        raise PictureError(f"{folder}: {len(names)} images ({', '.join(SUFFIXES)}); at least 2")
    chosen = np.unique(np.linspace(0, len(names) - 1, min(limit, len(names))).round().astype(int))
    return [names[index] for index in chosen]
