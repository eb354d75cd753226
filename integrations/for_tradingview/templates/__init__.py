"""The text of the scripts; ``scripts`` and ``snapshot`` fill in what depends on Params."""
