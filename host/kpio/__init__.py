"""The host side of KPIO: what stands behind the `kpio` command. Standard library only."""
