"""Training one screen network, on the same tiles and with the same augmentation as the detector."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F

import augment
import background
import checkpoint
import loop
import losses
from encoder import encoder_slower
from screen_net import CELL, ScreenNet
from train import draw_batch, tile_weights


@dataclass
class Settings(loop.Course):
    """How long and on what mix to train."""

    steps: int = 800
    rate: float = 2e-3
    average: float = 0.995
    kilns: int = 8
    """Crops of labelled tiles in a batch."""
    synthetic: int = 2
    """Crops of synthetic scenes in a batch."""
    background: int = 6
    """Crops of kiln-free mosaics in a batch."""
    paste: float = 0.3
    """Share of the mosaics that get kilns pasted on."""
    mine_every: int = 200
    """Steps between two looks at which kiln-free tiles score high; those are shown more often."""


def target(targets):
    """What each cell should say (1 where a centre lies in it), and what it weighs: B x H x W.

    From the pixel targets of `augment.describe`. Cells round a centre are punished less, as there;
    a cell with a pixel of unknown truth does not count, unless a centre lies in it.
    """
    heat = F.max_pool2d(targets.heatmap[:, None], CELL)[:, 0]
    known = -F.max_pool2d(-targets.weight[:, None], CELL)[:, 0]
    return heat, torch.maximum(known, heat.eq(1).float())


def train(tiles, pixels, synthetic, settings, *, pretrained, log=print, keep=None):
    """Train on labelled `tiles`, kiln-free `pixels` (N x 3 x 32 x 32), `synthetic` tiles.

    `pixels` and `synthetic` may be empty; `pretrained` is the state of EfficientNet-Lite0 that the
    encoder starts from. Returns the averaged network and one row a step, as `loop.run` says. With a
    file `keep`, a training that was stopped goes on.
    """
    rng = loop.seeded(settings.seed)
    net = ScreenNet()
    net.load_pretrained(pretrained)
    mining = background.Mining(pixels, settings.mine_every, lambda net, image: net(image))
    weights = tile_weights(tiles)

    def terms_of(step, net, averaged_net):
        mining.look(step, averaged_net)
        picked = draw_batch(rng, tiles, weights, mining, synthetic, settings)
        image, targets = augment.batch(rng, picked)
        image = image.to(loop.device(), memory_format=torch.channels_last)
        logits = net(image)[:, 0]
        return {"heatmap": losses.focal(logits, *target(targets.to(loop.device())))}

    return loop.run(
        *(net, settings, rng, terms_of),
        groups=encoder_slower(net, settings.rate),
        beside={"mining": mining},
        keep=keep,
        marked=checkpoint.mark(settings, checkpoint.of_tiles([*tiles, *synthetic]), [pixels]),
        log=log,
    )
