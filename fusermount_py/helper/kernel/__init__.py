"""Kernel floor: each module does one kind of thing to the kernel and judges nothing."""
