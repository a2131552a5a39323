"""The model of camp-like structures at sub-metre to one metre resolution, `camps-vhr`.

Programs are run as modules from the folder above: `python -m camps.train`. The Python files there
are shared where they fit.
"""
