"""What delivery is held against: the tools that people build such a thing with today."""
