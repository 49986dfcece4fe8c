//! From an encoded image to the network's input: decode what the crop reads, resize it, normalise it.
