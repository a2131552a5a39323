"""What one would write without kilnsight: rasterio, a loop, ONNX Runtime with its defaults.

usage: plain_loop.py MODEL.onnx RASTER

The same chips as a scan sees: 640 pixels, 64 pixels of overlap, the last row and column shifted
inwards. Only candidates above 0.25 are kept; suppression, georeferencing and output are left
out, in the loop's favour.
"""

import sys

import numpy as np
import onnxruntime as ort
import rasterio
from rasterio.windows import Window

CHIP_PX, OVERLAP_PX, SCORE = 640, 64, 0.25


def starts(length):
    """Where windows begin along an axis."""
    step = CHIP_PX - OVERLAP_PX
    return [min(at, length - CHIP_PX) for at in range(0, length - OVERLAP_PX, step)]


def main(model, raster):
    """Runs the loop and prints how many chips and candidates it saw."""
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    chips = candidates = 0
    with rasterio.open(raster) as scene:
        for y in starts(scene.height):
            for x in starts(scene.width):
                pixels = scene.read([1, 2, 3], window=Window(x, y, CHIP_PX, CHIP_PX))
                image = pixels[None].astype(np.float32) / 255
                found = session.run(["output0"], {"images": image})[0][0]
                candidates += found[:, found[4:].max(0) > SCORE].shape[1]
                chips += 1
    print(f'{{"chips": {chips}, "candidates": {candidates}}}')


if __name__ == "__main__":
    main(*sys.argv[1:])
