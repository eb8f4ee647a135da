"""`espf demo`: the main job from start to end, with real processes on a temporary database."""
