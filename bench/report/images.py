"""What the images have in common: the base that a host pulls and stores once."""

from bench.model import Layer, Run


def shared_layers(run: Run) -> tuple[Layer, ...]:
    """The layers with which every strategy's image begins; empty where fewer than two images are known."""
    stacks = [result.image.layers for result in run.strategies.values() if result.image is not None]
    if len(stacks) < 2:
        return ()
    shared = []
    for layers in zip(*stacks, strict=False):
        if any(layer != layers[0] for layer in layers):
            break
        shared.append(layers[0])
    return tuple(shared)
