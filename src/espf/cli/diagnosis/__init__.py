"""What `espf doctor` looks at."""
