"""An encoded image as its file describes it, and the refusals of files that cannot be decoded."""

from collections.abc import Callable
from dataclasses import dataclass

from serving_core.errors import RequestError

# Every row of a decoded image has a pointer of this size beside its pixels, and is filled up to four bytes.
ROW_BYTES = 12
RGB_BYTES = 4


@dataclass(frozen=True, slots=True)
class Encoded:
    """An image before it is decoded.

    `pixels_only` is the file without what does not change its pixels,
    such as profiles, texts and further frames. `orientation` is that of EXIF, 1 to 8. `pixel_bytes` is the
    memory of a decoded pixel, and `decoder_bytes` what the decoder needs beside all pixels. If the image
    `converts`, its pixels are decoded in another form than RGB. `usual_jpeg` is a JPEG in grey or three
    components, baseline or progressive, with Huffman's codes.
    """

    width: int
    height: int
    pixels_only: bytes
    orientation: int = 1
    pixel_bytes: int = RGB_BYTES
    decoder_bytes: int = 0
    converts: bool = True
    usual_jpeg: bool = False

    @property
    def pixels(self) -> int:
        """The number of pixels."""
        return self.width * self.height

    @property
    def memory_bytes(self) -> int:
        """The most memory that the image takes while it is decoded, turned upright and converted to RGB."""
        decoded = self._image_bytes(self.pixel_bytes)
        copies = [self.decoder_bytes]
        if self.orientation != 1:
            copies.append(self._image_bytes(self.pixel_bytes))
        if self.converts:
            copies.append(self._image_bytes(RGB_BYTES))
        return decoded + max(copies)

    def _image_bytes(self, pixel_bytes: int) -> int:
        # a row may turn into a column
        return self.pixels * pixel_bytes + max(self.width, self.height) * ROW_BYTES


Read = Callable[[bytes], Encoded]


def broken(reason: str) -> RequestError:
    """Return the refusal of a file whose pixels cannot be read."""
    return RequestError(422, f"the image is truncated or corrupt ({reason}): send a whole image file")


def too_much_work(what: str) -> RequestError:
    """Return the refusal of a file that takes far longer to decode than its size justifies."""
    return RequestError(422, f"{what}: save the image again, in the usual way of its format")
