"""What the benchmarks share: databases, installations, receivers, and how a result is written."""
