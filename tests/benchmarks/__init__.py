"""What starting, mounting, unmounting and guarding cost, beside the C helper: see __main__.py."""
