"""Subscribers as they are now: what handlers of HSSs and the like read before they act."""
