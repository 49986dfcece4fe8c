"""JPEGs decoded by libjpeg-turbo, through the package simplejpeg."""

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from serving_core.decoding.encoded import Encoded
from serving_core.decoding.orientation import UPRIGHT
from serving_core.images import QUICK_PIXELS

# Each pixel has a fourth byte, as in Pillow's images: a resizer of vectors reads such pixels without a copy.
CHANNELS = 4


def decode_usual(encoded: Encoded) -> NDArray[np.uint8] | None:
    """Return the very pixels that Pillow gives of a JPEG, uint8 [height, width, CHANNELS].

    None if Pillow must decode the file itself: if it is damaged in any way or unusual, of which this decoder
    would warn or which it refuses; if the image must be turned; and if it is large, since this decoder cannot
    be stopped on its way.
    """
    if not encoded.usual_jpeg or encoded.orientation != UPRIGHT or encoded.pixels > QUICK_PIXELS:
        return None
    # The allocator has kept the memory of an earlier image: a buffer of the thread's own would save nothing.
    pixels = np.empty((encoded.height, encoded.width, CHANNELS), np.uint8)
    try:
        made = simplejpeg.decode_jpeg(encoded.pixels_only, "RGBX", buffer=pixels)
    except ValueError:
        return None
    # a file that contradicts itself about its sizes is Pillow's to refuse
    return pixels if made.shape == pixels.shape else None
