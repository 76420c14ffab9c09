"""The root file system of Linux programs, from Debian packages."""
