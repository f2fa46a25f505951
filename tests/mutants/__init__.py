"""Each defence taken out, one at a time: make -C packaging mutants."""
