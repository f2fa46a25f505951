"""Every row: the defences that SECURITY.md names, and what an attacker would look at."""

from mutants import installed, mounting, policy, records, rights, start, taking, waiting

PARTS = (start, installed, rights, mounting, waiting, policy, taking, records)
MUTANTS = tuple(row for part in PARTS for row in part.ROWS)
