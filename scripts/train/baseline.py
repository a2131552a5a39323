"""A rule without learning, to measure the network against: kilns are the reddest blobs."""

import numpy as np

BLOB = 7
"""Side in pixels of the square that redness is averaged over, and suppressed within."""

BOX = (11.0, 9.0)
"""Width and height given to every blob: the median of the labels."""


def red_blobs(pixels):
    """Boxes N x 5 and scores N of an image 3 x H x W: local maxima of smoothed redness."""
    red, green, blue = pixels.astype(float)
    redness = red - (green + blue) / 2
    reach = BLOB // 2
    smooth = _squares(redness, reach).mean((2, 3))
    y, x = np.nonzero(smooth == _squares(smooth, reach).max((2, 3)))
    boxes = np.stack([x + 0.5, y + 0.5, *np.broadcast_to([[*BOX, 0.0]], (len(x), 3)).T], 1)
    return boxes, np.maximum(smooth[y, x], 0) / 255


def _squares(values, reach):
    """The square round each pixel, H x W x side x side."""
    side = 2 * reach + 1
    return np.lib.stride_tricks.sliding_window_view(
        np.pad(values, reach, mode="edge"), (side, side)
    )
