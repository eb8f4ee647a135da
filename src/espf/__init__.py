"""espf: an open External System Provisioning Framework.

A change of a subscriber in the billing registry becomes a provisioning event in the same
transaction; event handlers carry it to the systems that must follow.
"""

__version__ = "0.1.0"
