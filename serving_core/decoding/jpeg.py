"""The structure of a JPEG: its segments, its frame and its scans."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import ceil

from serving_core.decoding.encoded import Encoded, broken, too_much_work
from serving_core.decoding.orientation import orientation

SIGNATURE = b"\xff\xd8\xff"
# A body of 16 MiB in the largest segments has 256; each takes some microseconds to read.
MOST_SEGMENTS = 4096
# Encoders make some ten scans, and each goes over a part of the components. A pass over 50 megapixels takes
# up to 20 ms.
MOST_PASSES = 100
SMALL_PIXELS = 1_000_000
# what preparing a scan costs, whatever its size, in samples
SCAN_SAMPLES = 50_000
# A scan that refines looks at every coefficient of each block; arithmetic coding is slower than Huffman's.
REFINING_TIMES = 3
ARITHMETIC_TIMES = 2
BLOCK = 8
MOST_COMPONENTS = 4
COEFFICIENT_BYTES = 2
EXIF, XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"

SOS, EOI, APP1 = 0xDA, 0xD9, 0xE1
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
ARITHMETIC = {*range(0xC9, 0xD0)} - {0xCC}
# baseline, extended and progressive, with Huffman's codes
USUAL = {0xC0, 0xC1, 0xC2}
# Markers without a length, and reserved ones. Bytes that are stuffed in and restarts are not searched for.
ALONE = {*range(0xC0), 0xD8}
# what is said about the image; JFIF's and Adobe's segments, 0xE0 and 0xEE, say how its colours are stored
ABOUT = {*range(0xE1, 0xEE), 0xEF, 0xFE}
SEARCHED_BYTES = 256 * 1024
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame's header: `components` are the id and the horizontal and vertical sampling of each."""

    marker: int
    width: int
    height: int
    components: tuple[tuple[int, int, int], ...]

    def samples(self, ids: bytes) -> int:
        """Return how many samples the components have together, each filled up to whole blocks."""
        widest = max(1, *(across for _, across, _ in self.components))
        tallest = max(1, *(down for _, _, down in self.components))
        return sum(
            ceil(self.width * across / (widest * BLOCK))
            * ceil(self.height * down / (tallest * BLOCK))
            * BLOCK**2
            for name, across, down in self.components
            if name in ids
        )

    @property
    def ids(self) -> bytes:
        """The ids of all components."""
        return bytes(name for name, _, _ in self.components)


@dataclass(slots=True)
class Contents:
    """What a file holds: `kept` are the segments before the first scan that its pixels depend on."""

    frame: Frame | None = None
    scans: int = 0
    samples: int = 0
    exif: bytes = b""
    xmp: bytes = b""
    kept: list[slice] = field(default_factory=lambda: [slice(2)])
    left_out: bool = False
    first_scan: int = 0

    @property
    def several(self) -> bool:
        """Tell whether the image needs more than its first scan."""
        return self.frame is not None and (self.scans > 1 or self.frame.marker in PROGRESSIVE)


def read(data: bytes) -> Encoded:
    """Return what the file says about itself; raises RequestError 422."""
    try:
        found = _contents(data)
    except (struct.error, IndexError, ValueError):
        raise broken("its segments end too soon") from None
    frame = found.frame
    if frame is None or not found.scans:
        raise broken("it has no image")
    pixels = frame.width * frame.height
    times = ARITHMETIC_TIMES if frame.marker in ARITHMETIC else 1
    if found.samples * times > MOST_PASSES * max(pixels, SMALL_PIXELS):
        raise too_much_work(f"the image has {found.scans} scans, which pass over its pixels too often")
    found.kept.append(slice(found.first_scan, None))
    return Encoded(
        width=frame.width,
        height=frame.height,
        pixels_only=b"".join(map(data.__getitem__, found.kept)) if found.left_out else data,
        orientation=orientation(found.exif, found.xmp),
        pixel_bytes=1 if len(frame.components) == 1 else 4,
        # a file of several scans is decoded by way of all its coefficients
        decoder_bytes=COEFFICIENT_BYTES * frame.samples(frame.ids) if found.several else 0,
        converts=len(frame.components) != 3,
        usual_jpeg=frame.marker in USUAL and len(frame.components) in (1, 3),
    )


def _contents(data: bytes) -> Contents:
    found = Contents()
    follows = 2
    for marker, start, body, end in _segments(data):
        if marker == EOI:
            if found.scans:
                break
            continue  # the end of what a damaged length lies within
        if start != follows and not found.scans:
            found.left_out = True  # fill bytes, which Pillow would read one by one
        follows = end
        if marker == SOS:
            if found.frame is None:
                break
            if not found.scans:
                found.first_scan = start
            found.scans += 1
            if not found.several and data[body] >= len(found.frame.components):
                break  # whatever follows is not decoded
            found.samples += _scan_samples(found.frame, data[body:end])
        elif not found.scans:
            if marker in ABOUT:
                found.left_out = True
            else:
                found.kept.append(slice(start, end))
            if marker in FRAMES or marker == APP1:
                _note(found, marker, data[body:end])
    return found


def _note(found: Contents, marker: int, body: bytes) -> None:
    """Note what a segment before the first scan says about the image."""
    if marker in FRAMES:
        _, height, width, number = struct.unpack_from(">BHHB", body)
        if number > MOST_COMPONENTS:
            raise broken(f"it has {number} components")
        components = tuple(
            (body[at], body[at + 1] >> 4, body[at + 1] & 15) for at in range(6, 6 + 3 * number, 3)
        )
        found.frame = Frame(marker, width, height, components) if components else None
    elif body.startswith(EXIF):
        found.exif += body[len(EXIF) :] if found.exif else body
    elif body.startswith(XMP):
        found.xmp = body[len(XMP) :]


def _scan_samples(frame: Frame, body: bytes) -> int:
    """Return what decoding a scan costs, in samples that are passed over once."""
    number = body[0]
    first, _, approximation = body[1 + 2 * number : 4 + 2 * number]
    refines = frame.marker in PROGRESSIVE and first > 0 and approximation >> 4 > 0
    samples = frame.samples(body[1 : 1 + 2 * number : 2])
    return SCAN_SAMPLES + samples * (REFINING_TIMES if refines else 1)


def _next_marker(data: bytes, at: int) -> re.Match[bytes] | None:
    """Return the next marker; other threads have their turn after each piece that was searched."""
    match = _MARKER.match(data, at)
    if match is not None:
        return match
    for begin in range(at, len(data), SEARCHED_BYTES):
        # a marker has two bytes
        match = _MARKER.search(data, begin, begin + SEARCHED_BYTES + 1)
        if match is not None:
            return match
    return None


def _segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield each segment's marker, and where the segment, its body and what follows it begin."""
    at = 2
    for _ in range(MOST_SEGMENTS):
        match = _next_marker(data, at)
        if match is None:
            return
        marker, at = match[1][0], match.end()
        if marker in ALONE:
            continue
        if marker == EOI:
            yield marker, match.start(), at, at
            continue
        (length,) = struct.unpack_from(">H", data, at)
        body, at = at + 2, at + max(2, length)
        yield marker, match.start(), body, at
    raise too_much_work(f"the image has more than {MOST_SEGMENTS} segments")
