"""Public data as it is traded, into engines and a store: ``stream``, ``replay`` and the ``Stream`` that they give."""

from .many import stream
from .playback import replay
from .running import Stream

__all__ = ["Stream", "replay", "stream"]
