"""Before anything is timed: does the strategy answer every image of the set correctly?"""

from collections.abc import Sequence

from bench.measure.http_client import complaint
from bench.measure.payloads import PayloadImage, make_payload
from bench.measure.runtime.instance import Instance
from bench.model import Strategy


def offenders(instance: Instance, strategy: Strategy, images: Sequence[PayloadImage]) -> list[str]:
    """What the strategy answers wrongly, one clause each, over all images and all its encodings."""
    found = []
    for encoding in strategy.encodings:
        for image in images:
            payload = make_payload(image, encoding, strategy.model)
            wrong = complaint(instance.host, instance.port, strategy.path, payload)
            if wrong is not None:
                found.append(f"{strategy.name} on {image.file} as {encoding}: {wrong}")
    return found
