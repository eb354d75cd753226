"""Hold and break of a touch, as a probability that is calibrated and abstains."""

from .columns import hold_columns
from .hold_model import HoldModel
from .training import train

__all__ = ["HoldModel", "hold_columns", "train"]
