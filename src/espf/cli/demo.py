"""`espf demo`."""


def demo() -> None:
    """Play the main job from start to end."""
