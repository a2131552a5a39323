"""The screen as ONNX: float32 and int8, that they say what PyTorch says, and what each costs."""

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch

import quantize
from graph import OPSET, TOLERANCE, clean, fuse, write_model
from network import SIZE_MULTIPLE, KilnNet
from predict import Detector
from screen_net import Screen

PRECISIONS = ("float32", "int8")


class OnnxScreen:
    """An ONNX file that answers as a `screen_net.Screen` does, on one thread."""

    def __init__(self, path):
        self.answer = quantize.OnnxDetector(path)

    def __call__(self, image):
        """N x 3 x H x W in 0..1 to probabilities N x 1 x H/4 x W/4."""
        return self.answer(image)[0]


def write(net, path):
    """Write a `ScreenNet` in float32; what ONNX Runtime makes of it must be what PyTorch does."""
    screen = Screen(net).eval()
    fuse(screen)
    example = torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    torch.onnx.export(
        screen,
        (example,),
        path,
        input_names=["image"],
        output_names=["kiln"],
        opset_version=OPSET,
        dynamic_axes={
            "image": {0: "batch", 2: "height", 3: "width"},
            "kiln": {0: "batch", 2: "rows", 3: "columns"},
        },
        dynamo=False,
    )
    clean(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    # The detector takes sides that the screen has to fill up.
    for shape in ((2, 3, 64, 48), (1, 3, 128, 128), (1, 3, SIZE_MULTIPLE, 3 * SIZE_MULTIPLE)):
        image = torch.rand(shape, generator=torch.Generator().manual_seed(2))
        with torch.no_grad():
            expected = screen(image).numpy()
        (actual,) = session.run(None, {"image": image.numpy()})
        if np.abs(expected - actual).max() >= TOLERANCE:
            raise SystemExit(f"PyTorch and ONNX Runtime differ by {TOLERANCE:.0e} and more")


def write_all(net, folder, tiles, pixels):
    """Write a `ScreenNet` to `folder` in all `PRECISIONS`; returns the paths by precision.

    The ranges of the int8 copy come from `tiles` and kiln-free `pixels` that the network knows.
    """
    paths = {precision: Path(folder) / f"screen-{precision}.onnx" for precision in PRECISIONS}
    write(net, paths["float32"])
    quantize.quantize(paths["float32"], paths["int8"], quantize.calibration_chips(tiles, pixels))
    return paths


def of_fold(net, tiles, pixels):
    """The `OnnxScreen`s of a network by precision; see `write_all`."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_all(net, folder, tiles, pixels)
        return {precision: OnnxScreen(path) for precision, path in paths.items()}


def shares_of_time(paths, style):
    """Time that screens take for a chip, as shares of a float32 detector's of that `style`.

    `paths` are by precision, and so are the shares.
    """
    with tempfile.TemporaryDirectory() as folder:
        detector = Path(folder) / "model.onnx"
        write_model(Detector(KilnNet().eval(), style), detector)
        *screens, whole = quantize.milliseconds(
            [quantize.OnnxDetector(path) for path in (*paths.values(), detector)]
        )
    return {name: round(time / whole, 3) for name, time in zip(paths, screens, strict=True)}
