"""A decoder of BMPs that are coded in runs, several times as fast as Pillow's own."""

from PIL import Image, ImageFile

from serving_core.wanted import check_still_wanted

END_OF_LINE, END_OF_IMAGE, MOVE = 0, 1, 2
# a byte -> its two pixels of four bits
PAIRS = tuple(bytes((value >> 4, value & 15)) for value in range(256))
# how many bytes are read before the question whether the image is still wanted
ASK_BYTES = 65_536


class RunLengths(ImageFile.PyDecoder):
    """Expands RLE8 and RLE4 as Pillow's decoder does; codes beyond the end of a row are cut off."""

    _pulls_fd = True

    def decode(self, buffer: Image.DecoderInput) -> tuple[int, int]:
        """Read and expand the whole image."""
        del buffer
        assert self.fd is not None  # noqa: S101 - Pillow sets it for a decoder that pulls
        begin = self.fd.tell()
        pixels = expand(
            self.fd.read(), self.state.xsize, self.state.xsize * self.state.ysize, begin % 2, self.args[1]
        )
        self.set_as_raw(pixels, "L" if self.mode in {"1", "L"} else "P", (0, self.args[-1]))
        return -1, 0


def expand(codes: bytes, width: int, length: int, odd: int, four_bits: bool) -> bytes:
    """Return the pixels of `codes`, a byte each, `length` at most.

    `odd` is 1 if the codes begin at an odd place of their file.
    """
    pixels = bytearray()
    at, room = 0, width
    last, asks_at = len(codes) - 1, ASK_BYTES
    while at < last and len(pixels) < length:
        if at > asks_at:
            asks_at = at + ASK_BYTES
            check_still_wanted()
        count, value = codes[at], codes[at + 1]
        at += 2
        if count:
            if count > room:
                if room <= 0:
                    continue
                count = room
            room -= count
            if four_bits:
                pixels += (PAIRS[value] * (count // 2 + 1))[:count]
            else:
                pixels += codes[at - 1 : at] * count
        elif value == END_OF_LINE:
            pixels += bytes(-len(pixels) % width)
            room = width
        elif value == END_OF_IMAGE or (value == MOVE and at >= last):
            break
        elif value == MOVE:
            pixels += bytes(min(length - len(pixels), codes[at] + codes[at + 1] * width))
            room = width - len(pixels) % width
            at += 2
        else:
            count = min(length - len(pixels), value)
            read = (count + 1) // 2 if four_bits else count
            literal = codes[at : at + read]
            pixels += b"".join(map(PAIRS.__getitem__, literal))[:count] if four_bits else literal
            if len(literal) < read:
                break
            room -= value
            at += read + (at + read + odd) % 2
    return bytes(pixels)
