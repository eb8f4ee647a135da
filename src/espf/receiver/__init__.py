"""A small receiving application to try handlers against: `espf receiver`."""
