"""What is said of the daemons of folders (host/kpio/folders.py)."""
import subprocess

import pytest
from kpio import folders


@pytest.mark.parametrize("said, lost", [
    ("fv_panic: libvhost-user: Error while writing: Broken pipe\n", False),
    ("", True),
    ("virtio_loop: Entry\nfv_panic: no memory\n", True),
], ids=["guest_ended", "silent", "panic"])
def test_a_daemon_that_is_lost(tmp_path, said, lost):
    """One that QEMU left in the middle of an answer failed because of that; nobody is told."""
    daemon = object.__new__(folders.Daemon)
    daemon.share, daemon.said = folders.Share(tmp_path, "/x"), tmp_path / "said"
    daemon.said.write_text(said)
    daemon.process = subprocess.Popen(["false"])
    daemon.process.wait(60)
    failure = daemon.failure()
    assert (failure is not None) == lost
    assert failure is None or failure.startswith(f"{tmp_path} was lost: virtiofsd ended with status 1")
