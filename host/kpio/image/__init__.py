"""Bootable images of the system: a disk (raw, qcow2) or a CD."""
