"""What somebody must do now and then: blocks for search, partitions, and what is over its days.

All of it runs on a `Session` in short transactions, beside whoever reads and writes.
"""
