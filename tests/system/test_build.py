"""Every variant builds, without a warning (warnings are errors)."""
import pytest
from guests import Config, built
from kpio.bench import kernel, reference


@pytest.mark.parametrize("config", [Config("release"), Config("debug"), Config("cov"), Config("release", "gcc-12"),
                                    Config("debug", "gcc-12")],
                         ids=lambda config: f"{config.build}-{config.compiler}")
def test_builds(config):
    built(config)


def test_the_kernel_stays_small():
    """Code and data that are loaded, with storage."""
    most = next(row.reach for row in reference.KERNEL if row.name == "kernel_image")
    assert kernel.image_size(built(Config("release")))["value"] <= most
