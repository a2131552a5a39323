"""What training minimises: focal loss on centres, box losses near them."""

import torch
import torch.nn.functional as F

TERMS = ("heatmap", "boxes", "types")
"""Names of the terms of the detector's loss."""

BOX_WEIGHT = 0.7
"""Weight of the box terms beside the heat map's."""

TYPE_WEIGHT = 0.15
"""Weight of the type of a kiln, near the centres of those whose type is known."""

TYPE_BALANCE = torch.tensor([1.0, 1.0, 2.0])
"""Weight of each of `data.TYPES`: the last is rare."""


def focal(logits, target, weight):
    """Penalty-reduced focal loss of a heat map (all B x H x W), per centre.

    Every centre (target 1) is a positive; the closer a pixel is to one, the less it is punished
    for scoring.
    """
    log_p, log_q = F.logsigmoid(logits), F.logsigmoid(-logits)
    p = logits.sigmoid()
    centre = target.eq(1).float()
    positive = (1 - p) ** 2 * log_p * centre
    negative = (1 - target) ** 4 * p**2 * log_q * (1 - centre)
    return -((positive + negative) * weight).sum() / (centre * weight).sum().clamp(min=4)


def giou(offset, size, true_offset, true_size):
    """Generalised IoU of axis-aligned boxes, each given by centre and size (P x 2), P values."""
    low, high = offset - size / 2, offset + size / 2
    true_low, true_high = true_offset - true_size / 2, true_offset + true_size / 2
    shared = (torch.minimum(high, true_high) - torch.maximum(low, true_low)).clamp(min=0).prod(1)
    hull = (torch.maximum(high, true_high) - torch.minimum(low, true_low)).prod(1)
    union = size.prod(1) + true_size.prod(1) - shared
    return shared / union - (hull - union) / hull


def envelope_size(size_lw, angle):
    """Width and height (P x 2) of the envelope of boxes of length and width, (cos 2t, sin 2t)."""
    c = (angle[:, 0] / (angle.norm(dim=1) + 1e-3)).clamp(-0.999, 0.999)
    cos, sin = ((1 + c) / 2).sqrt(), ((1 - c) / 2).sqrt()
    length, width = size_lw.unbind(1)
    return torch.stack([length * cos + width * sin, length * sin + width * cos], 1)


def terms(maps, targets):
    """The terms of a batch's loss, weighted: heatmap, boxes, types.

    `maps` are as the net gives them, `targets` an `augment.Targets` on the same device.
    """
    heat = focal(maps["heatmap"][:, 0].float(), targets.heatmap, targets.weight)
    if not len(targets.where):
        return {"heatmap": heat, "boxes": heat * 0, "types": heat * 0}
    i, y, x = targets.where.unbind(1)
    at = {name: maps[name][i, :, y, x].float() for name in maps if name != "heatmap"}
    size_xy, size_lw = at["size_xy"].clamp(0, 4).exp(), at["size_lw"].clamp(0, 4).exp()

    plain = 1 - giou(at["offset"], size_xy, targets.offset, targets.size_xy)
    plain = plain + 0.5 * (at["size_xy"] - targets.size_xy.log()).abs().mean(1)
    hull = envelope_size(size_lw, at["angle"])
    turned = 1 - giou(at["offset"], hull, targets.offset, targets.size_xy)

    length, width, t = targets.box.unbind(1)
    direction = torch.stack([(2 * t).cos(), (2 * t).sin()], 1)
    # The direction of a square is anybody's guess: weigh it by how long the kiln is.
    longness = ((length / width - 1) / 0.5).clamp(0, 1)
    exact = (at["size_lw"] - targets.box[:, :2].log()).abs().mean(1) * 2
    exact = exact + (at["angle"] - direction).square().sum(1) * longness
    turned = turned + exact * targets.oriented.float()

    shift = 0.2 * (at["offset"] - targets.offset).abs().mean(1)
    boxes = ((plain + turned + shift) * targets.near).sum() / targets.near.sum().clamp(min=8)
    types = _types(at["type"], targets)
    return {"heatmap": heat, "boxes": BOX_WEIGHT * boxes, "types": TYPE_WEIGHT * types}


def _types(logits, targets):
    """Cross entropy of the types (logits P x types) where they are known, each type alike."""
    known = targets.kind >= 0
    if not known.any():
        return logits.sum() * 0
    near = targets.near[known]
    wrong = F.cross_entropy(
        logits[known], targets.kind[known], TYPE_BALANCE.to(logits.device), reduction="none"
    )
    return (wrong * near).sum() / near.sum().clamp(min=8)
