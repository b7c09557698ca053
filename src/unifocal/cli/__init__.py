"""The command line: one verb, one file. Heavy imports wait until a verb runs, so that `--help` is quick."""
