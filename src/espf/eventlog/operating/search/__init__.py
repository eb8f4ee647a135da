"""Search for pairs of event and handler.

A *source* gives numbers of events in the order of the search, by an index; it may give too many,
and never leaves one out. What the numbers stand for with each handler is then read, judged and
filtered exactly (`pairs`), and so on until the page is full.
"""
