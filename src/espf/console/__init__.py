"""The console: what operators see in a browser. Server-rendered, no JavaScript."""
