"""Measuring: the suites of `kpio bench`, the QEMU plugin, the Linux side, the table."""
