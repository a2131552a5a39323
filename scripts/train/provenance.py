"""What is known of the training data behind kiln-s2; other data are described in general words."""

from pathlib import Path

KILN_S2 = "c2831cffac60c06415207a81b5baf5eaa2c37659321b73eda4b115d45ad65610"
"""Hash of the training list of the shipped model (`data.training_list_hash`)."""

ATTRIBUTION = (
    "SentinelKilnDB, Mondal et al., CC BY-NC 4.0; contains modified Copernicus Sentinel data "
    "2023-2024; hand-drawn boxes added.",
    "Contains modified Copernicus Sentinel data.",
)


def is_kiln_s2(facts):
    """Whether `facts`, the contents of `accuracy.json`, are of the data of the shipped model."""
    return facts["training_list_sha256"] == KILN_S2


def licence(facts):
    """Text on the licence of the weights."""
    if not is_kiln_s2(facts):
        return """Weights take over the terms of the labels and images they were trained on: write
down here which these are before you pass the model on."""
    return f"""**Non-commercial.** The labels are CC BY-NC 4.0 (one repository of the source says
CC BY-NC-SA 4.0: treat as the stricter), so these weights are CC BY-NC 4.0 as well. The code is
under the project's licence. Attribution:

- {ATTRIBUTION[0]}
- Background: {ATTRIBUTION[1]}"""


def trained_on(facts):
    """Text on what the weights were trained on."""
    training = facts["training"]
    tiles, kilns = training["synthetic_tiles"], training["synthetic_kilns"]
    drawn = f"""- {tiles} synthetic tiles with {kilns:,} drawn kilns
  (`scripts/make_demo_scene.py`, never the demo scene's seed); before all else, on more of them
  alone (`scripts/train/start.py`).
- The encoder starts from EfficientNet-Lite0 weights trained on ImageNet (Apache-2.0)."""
    if not is_kiln_s2(facts):
        return f"""- {training["tiles"]:,} labelled tiles with {training["kilns"]:,} kilns and
  {training["ignore_regions"]} ignore regions.
- {training["background_tiles"]:,} kiln-free tiles of 320 m.
{drawn}"""
    counts = training["tiles"], training["kilns"], training["ignore_regions"]
    return f"""- {counts[0]} Sentinel-2 tiles of 1.28 km in six districts of India and Bangladesh
  with {counts[1]} kilns and {counts[2]} ignore regions. 38 kilns (2 tiles) carry the source's
  oriented boxes and types; 71 (40 tiles) were drawn by one person in a single pass, axis-aligned,
  to 1-2 pixels, without types, and **some kilns are missing** from them.
- {training["background_tiles"]:,} kiln-free tiles of 320 m round one South American city. Half of
  the mosaics made of them get labelled kilns pasted on, alone or in crowds; tiles that score high
  are shown more often.
{drawn}"""


def remarks(facts):
    """What else must be said of the figures: a list of texts."""
    if not is_kiln_s2(facts):
        return []
    return [
        "*official* are the two tiles with the source's boxes (IN-*), *hand_drawn* the other four "
        "districts. With one tile each, IN-UP and IN-Bihar have no interval, and 10 to 22 kilns a "
        "district bear no fine comparison. These figures cannot be compared with published mAP.",
        "The recipe was settled after looking at two to all six of the districts (variants below), "
        'and the synthetic scenes were tuned by eye on tiles of all districts: "never seen" holds '
        "for the weights, not for their makers, and the figures are optimistic, most of all those "
        "of IN-*. One seed was trained throughout; with another, the network had AP@0.3 0.83 and "
        "AP@0.5 0.70 on IN-UP (float32, one way up), with this one 0.82 and 0.78.",
    ]


def failures(facts):
    """What was seen in the pictures of the worst mistakes, with its heading; '' for other data."""
    if not is_kiln_s2(facts):
        return ""
    return """
## Failures, in words

The 24 highest-scoring false detections and the 24 kilns of the lowest score were looked at, each
judged by the network that did not see its district. (The pictures are third-party imagery and are
not part of this repository.)

- *False*: the highest, and three or four more, are what looks like a kiln without a box, or one
  cut by the edge of a tile; bright roofs and pale plots beside fields and villages; yards beside
  kilns; faint patches in very dark pictures, where contrast with the surroundings makes much of
  little. On kiln-free ground: bare red soil cut by the edge of its tile (four of the eight above
  0.4, the two highest among them), a red patch on a paved yard, a sports ground of red clay, bright
  heaps on pale ground.
- *Missed, or scored low*: two in three are in IN-UP, whose pale kilns in pale yards stand wall to
  wall, so that no ground of another colour surrounds them; the others are mostly cut by the edge
  of a tile down to a strip.
"""


def variants(facts):
    """The table of variants that were tried, with its heading; '' for other data."""
    if not is_kiln_s2(facts):
        return ""
    table = Path(__file__).with_name("variants.md").read_text()
    return f"\n## Variants tried\n\n{table}"
