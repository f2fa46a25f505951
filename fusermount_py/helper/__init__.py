"""The privileged program: all code that ever holds CAP_SYS_ADMIN. See the tower in README.md."""
