"""Every row: the defences that SECURITY.md names, and what an attacker would look at."""

from mutants import installed, mounting, places, policy, records, rights, start, taking, waiting

PARTS = (start, installed, rights, mounting, places, waiting, policy, taking, records)
MUTANTS = tuple(row for part in PARTS for row in part.ROWS)
