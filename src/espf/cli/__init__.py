"""The command line: thin edges over the functions that console and API use, too."""
