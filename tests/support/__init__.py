"""What tests are written with: see tests/README.md."""
